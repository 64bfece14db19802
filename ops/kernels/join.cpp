#include "ops/kernels/join.hpp"

#include <cstring>
#include <vector>

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/layout.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kBlockBytes = 1 << 16;  // written part by part while it stays in cache
constexpr std::int64_t kThreadBytes = 1 << 18;

// Consecutive runs of `bytes` that go to every `pitch` bytes of the result, from `offset` on.
struct Run {
  const std::byte* from;
  std::int64_t bytes, offset;
};

bool lies_in_order_of(const Tensor& part, const Tensor& out) {
  if (part.dtype() != out.dtype()) return false;
  const Strides wanted = strides_in_order(part.shape(), out.strides());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (part.shape()[i] != 1 && part.strides()[i] != wanted[i]) return false;
  return true;
}

const std::byte* first_byte(const Tensor& tensor) {
  return tensor.impl().storage->data() + tensor.offset() * size_of(tensor.dtype());
}

void copy_runs(std::byte* to, std::int64_t pitch, std::int64_t count, const std::vector<Run>& runs) {
  if (count == 1) {
    for (const Run& run : runs)
      parallel_for(run.bytes, kThreadBytes, [&](std::int64_t begin, std::int64_t end) {
        std::memcpy(to + run.offset + begin, run.from + begin, static_cast<std::size_t>(end - begin));
      });
    return;
  }
  const std::int64_t block = std::max<std::int64_t>(1, kBlockBytes / std::max<std::int64_t>(pitch, 1));
  parallel_for((count + block - 1) / block, std::max<std::int64_t>(1, kThreadBytes / (block * pitch)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t b = begin; b < end; ++b)
                   for (const Run& run : runs)
                     for (std::int64_t i = b * block; i < std::min(count, (b + 1) * block); ++i)
                       std::memcpy(to + i * pitch + run.offset, run.from + i * run.bytes,
                                   static_cast<std::size_t>(run.bytes));
               });
}

}  // namespace

void concatenate(const Tensor& out, std::span<const Tensor> parts, std::size_t axis) {
  if (out.numel() == 0) return;
  const AxisBlocks blocks = blocks_around(out.shape(), out.strides(), axis);
  const std::int64_t slice_bytes = blocks.inner * size_of(out.dtype());
  std::vector<Run> runs;
  std::int64_t at = 0;
  for (const Tensor& part : parts) {
    const std::int64_t size = part.shape()[axis];
    if (part.numel() == 0) {
      at += size;
      continue;
    }
    if (lies_in_order_of(part, out)) {
      runs.push_back({first_byte(part), size * slice_bytes, at * slice_bytes});
    } else {
      const Tensor place = alias(out, part.shape(), out.strides(), out.offset() + at * out.strides()[axis]);
      copy(place, part);
    }
    at += size;
  }
  out.impl().storage->bump_version();
  copy_runs(out.impl().storage->data() + out.offset() * size_of(out.dtype()), blocks.size * slice_bytes,
            blocks.outer, runs);
}

}  // namespace lucid::kernels
