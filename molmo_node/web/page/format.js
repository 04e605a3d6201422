// Values in a person's words.

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: false });
}

/** "12 ms", "3.4 s", "12 s", "5 min" */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

export const clockTime = (ms, withSeconds = true) =>
  new Date(ms).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined });

const TASKS = {
  point: "Point at", count: "Count", read_gauge: "Read gauge", read_clock: "Read clock",
  ask: "Ask", describe: "Describe", extract: "Extract",
};
export const TASK_ORDER = Object.keys(TASKS);
export const taskName = (task) => TASKS[task] ?? task;

export function questionText(question) {
  const where = question.roi ? " in a region" : "";
  if (question.task === "ask") return `${question.text}${where}`;
  if (question.task === "extract") return `Extract text${where}`;
  return `${taskName(question.task)}${question.text ? ` ${question.text}` : ""}${where}`;
}

const pad = (value) => String(value).padStart(2, "0");

/** The answer in one line: { text, unit, isBad } */
export function short(answer) {
  const reading = answer.reading;
  if (reading?.kind === "gauge") {
    if (reading.value === null) return { text: reasonText(reading.reason), isBad: true };
    return { text: number(reading.value), unit: reading.unit };
  }
  if (reading?.kind === "clock") {
    if (reading.hour === null) return { text: reasonText(reading.reason), isBad: true };
    return { text: `${reading.hour || 12}:${pad(reading.minute)}${reading.second === null ? "" : `:${pad(reading.second)}`}` };
  }
  if (answer.reason) return { text: answer.reason, isBad: true };
  if (answer.task === "count") return { text: String(answer.count ?? answer.points.length) };
  if (answer.task === "point") {
    return { text: answer.points.length === 1 ? "1 place" : `${answer.points.length} places` };
  }
  if (answer.task === "extract") return { text: JSON.stringify(answer.data, null, 1) };
  return { text: answer.text };
}

const REASONS = {
  no_dial: "no dial seen", no_needle: "no needle seen", registration_lost: "not the dial of this profile",
  scale_unread: "scale not legible", low_confidence: "not sure enough", outside_range: "outside its plausible range",
  outside_sweep: "needle outside the scale", blurred: "blurred", glare: "glare", stale: "picture too old",
  no_profile: "no calibration", implausible_rate: "changed too fast to be true", unit_unknown: "unit unknown",
  tip_tail_ambiguous: "tip or tail?", hands_disagree: "hands disagree", methods_disagree: "methods disagree",
};
export const reasonText = (reason) => REASONS[reason] ?? reason ?? "nothing read";
