// The official client of OpenAI for JavaScript, unchanged: see test_clients.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const OpenAI = createRequire(import.meta.url)("openai").default;
const baseURL = process.argv[2];
const picture = readFileSync(0, "utf8");
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const asked = {
  model: "pico",
  temperature: 0,
  messages: [
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: picture } },
        { type: "text", text: "what do you see?" },
      ],
    },
  ],
};
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const whole = await client.chat.completions.create(asked);
let streamed = "";
let usage = null;
const stream = await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
let refused = null;
try {
  await client.chat.completions.create({ ...asked, model: "other" });
} catch (error) {
  refused = [error.status, error.code];
}
const sound = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello.", response_format: "wav" });
const speech = Buffer.from(await sound.arrayBuffer()).toString("latin1", 0, 4);
console.log(JSON.stringify({ models, whole: whole.choices[0].message.content, streamed, usage, refused, speech }));
