// onnx_unet.mjs FOLDER NORM SIDE THREADS: one line "| ONNX Runtime VERSION, inference, NORM norm, SIDE^3 | ms | GB | norm of the result |" for
// FOLDER/NORM.onnx: the time of one run after an untimed one, and the most that was resident meanwhile.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [folder, norm, side, threads] = process.argv.slice(2);
const require = createRequire(path.resolve(folder) + '/');
const ort = require('onnxruntime-node');
const { version } = require('onnxruntime-node/package.json');

const session = await ort.InferenceSession.create(path.join(folder, `${norm}.onnx`), {
  intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: 'all', logSeverityLevel: 3,
});
const bytes = fs.readFileSync(path.join(folder, 'image.f32'));
const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const n = Number(side);
const x = new ort.Tensor('float32', data, [1, 1, n, n, n]);

fs.writeFileSync('/proc/self/clear_refs', '5');
await session.run({ x });
const start = process.hrtime.bigint();
const { y } = await session.run({ x });
const ms = Number(process.hrtime.bigint() - start) * 1e-6;
const peak = 1024 * Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
const value = Math.sqrt(y.data.reduce((sum, v) => sum + v * v, 0));
console.log(`| ONNX Runtime ${version}, inference, ${norm} norm, ${side}^3 | ${ms.toFixed(0)} | ${(peak * 1e-9).toFixed(2)} | ${value.toPrecision(6)} |`);
