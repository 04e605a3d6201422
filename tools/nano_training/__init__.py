"""What tools/train_nano.py and tools/eval_nano.py share: scenes to tensors, losses, checkpoints."""
