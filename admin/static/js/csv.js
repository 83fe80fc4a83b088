// Comma-separated values that no spreadsheet takes for a formula.

const NAMES = ["time", "entity_id", "state", "value", "unit", "available", "area", "friendly_name", "device_class"];

// Source: https://owasp.org/www-community/attacks/CSV_Injection
function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (points) =>
  [NAMES, ...points.map((one) => NAMES.map((name) => one[name]))].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
