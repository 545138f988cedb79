// Load Face Motion: a button and a drop that put a file into ComfyUI's input folder and choose it in the menu.

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const NODE = "TalkingPortraitLoadFaceMotion";
const ENDINGS = [".safetensors", ".pkl"];

function isMotion(file) {
  return ENDINGS.some((ending) => file.name.toLowerCase().endsWith(ending));
}

function say(severity, detail) {
  app.extensionManager.toast.add({ severity, summary: "Load Face Motion", detail, life: 8000 });
}

/** Keep a file in the input folder; gives its name there, which is another one if that name was taken. */
async function kept(file) {
  const body = new FormData();
  body.append("image", file); // so the route calls what it keeps, whatever it is
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const { name, subfolder } = await answer.json();
  return subfolder ? `${subfolder}/${name}` : name;
}

function widget(node, name) {
  return node.widgets.find((one) => one.name === name);
}

function choose(node, name) {
  const menu = widget(node, "file");
  const listed = menu.options.values ?? [];
  if (!listed.includes(name)) menu.options.values = [...listed, name];
  menu.value = name;
  menu.callback?.(name);
  const path = widget(node, "path"); // a path would take the menu's place
  if (path) path.value = "";
  node.graph?.setDirtyCanvas(true, true);
}

async function take(node, file) {
  if (!isMotion(file)) return say("warn", `${file.name} is no motion; ${ENDINGS.join(" and ")} files are.`);
  try {
    choose(node, await kept(file));
  } catch (error) {
    say("error", `${file.name} could not be kept in the input folder: ${error.message}`);
  }
}

function openChooser(node) {
  const chooser = document.createElement("input");
  Object.assign(chooser, { type: "file", accept: ENDINGS.join(","), style: "display: none" });
  chooser.onchange = () => {
    if (chooser.files.length) take(node, chooser.files[0]);
    chooser.remove();
  };
  chooser.oncancel = () => chooser.remove();
  document.body.append(chooser);
  chooser.click();
}

app.registerExtension({
  name: "TalkingPortrait.LoadFaceMotion",

  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    widget(node, "file").value ??= ""; // an empty menu would show "undefined"
    const button = node.addWidget("button", "upload", "", () => openChooser(node), { serialize: false });
    button.label = "choose file to upload";
    button.serialize = false; // workflows hold the values of the inputs alone
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
    node.onDragDrop = async (event) => {
      const file = [...event.dataTransfer.files].find(isMotion);
      if (!file) return false; // then the page may open it as a workflow
      await take(node, file);
      return true;
    };
  },
});
