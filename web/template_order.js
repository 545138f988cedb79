// The Templates browser shows the pack's workflows by number; ComfyUI lists files as the disk happens to hold them.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const PACK = decodeURIComponent(new URL(import.meta.url).pathname.match(/extensions\/([^/]+)\//)[1]);
const listed = api.getWorkflowTemplates.bind(api);

api.getWorkflowTemplates = async () => {
  const templates = await listed();
  templates[PACK]?.sort();
  return templates;
};

app.registerExtension({ name: "TalkingPortrait.TemplateOrder" });
