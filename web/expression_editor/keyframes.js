// The text of the node's input `keyframes`: lines `seconds: slider=value, ...`.

export function parse(text) {
  const found = [];
  for (const line of (text ?? "").split("\n")) {
    const [time, rest] = split(line, ":");
    const seconds = Number(time);
    if (rest === null || !time.trim() || !Number.isFinite(seconds)) continue; // the server says what is wrong with it
    const values = {};
    for (const part of rest.split(",")) {
      const [name, value] = split(part, "=");
      if (value !== null && Number.isFinite(Number(value))) values[name.trim()] = Number(value);
    }
    found.push({ seconds, values });
  }
  return found.sort((a, b) => a.seconds - b.seconds);
}

export function write(keyframes) {
  const lines = [...keyframes].sort((a, b) => a.seconds - b.seconds).map(({ seconds, values }) => {
    const parts = Object.entries(values).filter(([, value]) => value).map(([name, value]) => `${name}=${value}`);
    return `${seconds}: ${parts.join(", ")}`.trim();
  });
  return lines.join("\n");
}

function split(text, mark) {
  const place = text.indexOf(mark);
  return place < 0 ? [text, null] : [text.slice(0, place), text.slice(place + 1)];
}
