#include "ops/kernels/resample.hpp"

#include <algorithm>

#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kManyTaps = 64;  // from here on float sums would show

// The taps of one output position.
struct Taps {
  Taps(const AxisTaps& axis, std::int64_t output)
      : index(axis.index.data() + axis.begin[static_cast<std::size_t>(output)]),
        weight(axis.weight.data() + axis.begin[static_cast<std::size_t>(output)]),
        count(axis.begin[static_cast<std::size_t>(output) + 1] -
              axis.begin[static_cast<std::size_t>(output)]) {}
  const std::int64_t* index;
  const double* weight;
  std::int64_t count;
};

// What one row of outputs reads; sizes are the input's.
struct Row {
  Taps depths, heights;
  const AxisTaps* widths;
  std::int64_t height, width, channels;
};

// sum[j] = the weighted sum, over the row's depths and heights, of input rows of n elements.
template <class T, class A>
LUCID_VECTORIZED void combine_rows(A* sum, const T* x, const Row& row, std::int64_t n) {
  bool fresh = true;
  for (std::int64_t d = 0; d < row.depths.count; ++d)
    for (std::int64_t h = 0; h < row.heights.count; ++h) {
      const T* from = x + (row.depths.index[d] * row.height + row.heights.index[h]) * n;
      const A weight = static_cast<A>(row.depths.weight[d] * row.heights.weight[h]);
      if (fresh)
        for (std::int64_t j = 0; j < n; ++j)
          sum[j] = weight * static_cast<A>(static_cast<Compute<T>>(from[j]));
      else
        for (std::int64_t j = 0; j < n; ++j)
          sum[j] += weight * static_cast<A>(static_cast<Compute<T>>(from[j]));
      fresh = false;
    }
  if (fresh) std::fill(sum, sum + n, A(0));
}

// The row's outputs from the combined input row; `sum` has room for the channels.
template <class T, class A>
LUCID_VECTORIZED void spread_row(T* out, const A* combined, A* sum, const AxisTaps& widths,
                                 std::int64_t channels) {
  for (std::int64_t o = 0; o < widths.outputs(); ++o, out += channels) {
    const auto begin = static_cast<std::size_t>(widths.begin[static_cast<std::size_t>(o)]);
    const auto count = static_cast<std::size_t>(widths.begin[static_cast<std::size_t>(o) + 1]) - begin;
    const std::int64_t* index = widths.index.data() + begin;
    const double* weight = widths.weight.data() + begin;
    if (count == 1) {
      const A* a = combined + index[0] * channels;
      const A wa = static_cast<A>(weight[0]);
      for (std::int64_t c = 0; c < channels; ++c) out[c] = static_cast<T>(static_cast<Compute<T>>(wa * a[c]));
    } else if (count == 2) {
      const A *a = combined + index[0] * channels, *b = combined + index[1] * channels;
      const A wa = static_cast<A>(weight[0]), wb = static_cast<A>(weight[1]);
      for (std::int64_t c = 0; c < channels; ++c)
        out[c] = static_cast<T>(static_cast<Compute<T>>(wa * a[c] + wb * b[c]));
    } else {
      for (std::int64_t c = 0; c < channels; ++c) sum[c] = A(0);
      for (std::size_t k = 0; k < count; ++k) {
        const A* a = combined + index[k] * channels;
        const A wa = static_cast<A>(weight[k]);
        for (std::int64_t c = 0; c < channels; ++c) sum[c] += wa * a[c];
      }
      for (std::int64_t c = 0; c < channels; ++c) out[c] = static_cast<T>(static_cast<Compute<T>>(sum[c]));
    }
  }
}

// The same for one channel.
template <class T, class A>
void spread_single(T* out, const A* combined, const AxisTaps& widths, const A* weights) {
  const std::int64_t *index = widths.index.data(), *begin = widths.begin.data();
  for (std::int64_t o = 0; o < widths.outputs(); ++o) {
    A sum = 0;
    for (std::int64_t k = begin[o]; k < begin[o + 1]; ++k) sum += weights[k] * combined[index[k]];
    out[o] = static_cast<T>(static_cast<Compute<T>>(sum));
  }
}

AxisTaps identity(std::int64_t size) {
  AxisTaps out;
  out.inputs = size;
  for (std::int64_t i = 0; i < size; ++i) {
    out.add(i, 1.0);
    out.finish_output();
  }
  return out;
}

template <class T, class A>
void run(const Tensor& out, const Tensor& input, const SpatialTaps& taps, bool channels_last) {
  const VolumeBlocks in(input, channels_last), to(out, channels_last);
  const T* x = input.data<T>();
  T* y = out.data_to_write<T>();
  const std::int64_t n = in.width * in.channels, row_size = to.width * to.channels;
  const std::vector<A> weights(taps[2].weight.begin(), taps[2].weight.end());
  const std::int64_t work = std::max<std::int64_t>(row_size + n * taps[0].widest() * taps[1].widest(), 1);
  parallel_for(
      to.blocks * to.depth * to.height, kElementGrain / work + 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<A> combined(static_cast<std::size_t>(n + in.channels));
        for (std::int64_t at = begin; at < end; ++at) {
          const std::int64_t block = at / to.height / to.depth, d = at / to.height % to.depth,
                             h = at % to.height;
          const Row row{Taps(taps[0], d), Taps(taps[1], h), &taps[2], in.height, in.width, in.channels};
          combine_rows(combined.data(), x + block * in.size(), row, n);
          if (in.channels == 1)
            spread_single(y + at * row_size, combined.data(), taps[2], weights.data());
          else
            spread_row(y + at * row_size, combined.data(), combined.data() + n, taps[2], in.channels);
        }
      });
}

}  // namespace

Tensor resample(const Tensor& given, const SpatialTaps& taps) {
  const bool last = walk_channels_last(given);
  const Tensor input = arranged(given, last);
  const Shape shape{given.shape()[0], given.shape()[1], taps[0].outputs(), taps[1].outputs(),
                    taps[2].outputs()};
  // Few large results, such as one mean a channel: slices first, for the sake of all threads.
  const std::int64_t rows = shape[0] * (last ? 1 : shape[1]) * shape[2] * shape[3];
  if (rows < 4 * num_threads() && taps[0].inputs > shape[2] && input.numel() > kElementGrain) {
    const Tensor slices = resample(input, {identity(taps[0].inputs), taps[1], taps[2]});
    return arranged_as(resample(slices, {taps[0], identity(shape[3]), identity(shape[4])}), given);
  }
  const Tensor out = empty_volume(shape, input.dtype(), last);
  const bool many = taps[0].widest() * taps[1].widest() * taps[2].widest() > kManyTaps;
  dispatch_floating("resample", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (many)
      run<T, double>(out, input, taps, last);
    else
      run<T, Compute<T>>(out, input, taps, last);
  });
  return arranged_as(out, given);
}

}  // namespace lucid::kernels
