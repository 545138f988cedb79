// What the server answers: the sliders, and pictures of the portrait of the node's last run.

import { api } from "../../../scripts/api.js";

const PATH = "/talking_portrait/expression_editor";
let known;

// {sliders: {name: {low, high, step, meaning}}, presets: {name: {slider: value}}}, asked for once.
export function sliders() {
  known ??= answer(PATH).then((response) => response.json());
  return known;
}

export async function lastPicture(key) {
  return (await answer(`${PATH}/${key}`)).blob();
}

export async function frame(key, wanted) {
  const body = JSON.stringify(wanted);
  return (await answer(`${PATH}/${key}`, { method: "POST", body, headers: { "Content-Type": "application/json" } })).blob();
}

async function answer(path, options) {
  const response = await api.fetchApi(path, options);
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Error(told.error ?? `The server answered ${response.status}.`);
}
