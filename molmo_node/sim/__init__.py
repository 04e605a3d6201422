"""The simulated bench: pictures with exact truth. Pure: seeds and times in, arrays out."""
