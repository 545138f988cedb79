// Sends sound, shows frames. It measures by its own clock how long after its sound each frame is drawn.
const FRAMES_A_SECOND = 25;
const REMEMBERED_MS = 5000;
const canvas = document.getElementById('face');
const line = document.getElementById('line');
const button = document.getElementById('speak');
const begins = []; // [arrival, what it says of when the stream began], as tools/live/clock.py
const measured = { delays: [], shown: 0, last: -1, report: null, error: null };
window.live = measured;
let heard = 0;

function count(samples, rate) {
  const now = performance.now();
  heard += samples;
  begins.push([now, now - (1000 * heard) / rate]);
  while (now - begins[0][0] > REMEMBERED_MS) begins.shift();
}

async function showFrame(data) {
  const number = new DataView(data).getUint32(1, true);
  const picture = await createImageBitmap(new Blob([data.slice(5)], { type: 'image/jpeg' }));
  if (number < measured.last) return;
  measured.last = number;
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext('2d').drawImage(picture, 0, 0);
  picture.close();
  measured.shown += 1;
  const began = Math.min(...begins.map(([, begin]) => begin));
  measured.delays.push((performance.now() - began) / 1000 - number / FRAMES_A_SECOND);
  if (measured.delays.length > 3000) measured.delays.shift();
}

// A file's sound, as late as its frames.
function player(rate, delay) {
  const context = new AudioContext({ sampleRate: rate });
  let start = null;
  let played = 0;
  return (data) => {
    const piece = new Int16Array(data.slice(1));
    const buffer = context.createBuffer(1, piece.length, rate);
    buffer.copyToChannel(Float32Array.from(piece, (sample) => sample / 32768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    start ??= context.currentTime + delay;
    source.start(start + played / rate);
    played += piece.length;
    count(piece.length, rate);
  };
}

async function record(socket, rate) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
  await context.audioWorklet.addModule('recorder.js');
  const recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
  recorder.port.onmessage = ({ data }) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    count(data.length, rate);
    socket.send(data.buffer);
  };
  context.createMediaStreamSource(stream).connect(recorder);
  socket.addEventListener('close', () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  });
}

function say(told, socket) {
  if (told.error) {
    measured.error = told.error;
    line.textContent = told.error;
  } else if (told.report) {
    measured.report = told.report;
    const recent = measured.delays.slice(-50);
    const mean = recent.reduce((sum, delay) => sum + delay, 0) / (recent.length || 1);
    line.textContent = `${mean.toFixed(2)} s behind the voice; ${told.report.dropped} frames dropped`;
  } else if (told.microphone) {
    record(socket, told.rate).catch((error) => say({ error: `The microphone cannot be used: ${error.message}` }));
  } else {
    socket.play = player(told.rate, told.delay);
  }
}

function begin() {
  button.hidden = true;
  line.textContent = 'Listening ...';
  const socket = new WebSocket(`ws://${location.host}/live`);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') say(JSON.parse(data), socket);
    else if (new Uint8Array(data, 0, 1)[0] === 0) showFrame(data);
    else socket.play(data);
  };
  socket.onclose = () => {
    button.hidden = false;
    begins.length = 0;
    heard = 0;
    measured.last = -1;
    if (!measured.error) line.textContent = 'Stopped.';
  };
}

button.onclick = begin;
