#include "ops/kernels/max_pool.hpp"

#include <algorithm>
#include <limits>

#include "ops/kernels/elementwise.hpp"

namespace lucid::kernels {
namespace {

struct Span {
  const std::int64_t* first;
  const std::int64_t* last;
  const std::int64_t* begin() const { return first; }
  const std::int64_t* end() const { return last; }
};

Span taps_of(const AxisTaps& taps, std::int64_t output) {
  const auto o = static_cast<std::size_t>(output);
  return {taps.index.data() + taps.begin[o], taps.index.data() + taps.begin[o + 1]};
}

// One row of windows along W: everything that its loops need.
struct Row {
  Span depths, heights;
  const AxisTaps* widths;
  std::int64_t height, width, channels;  // of the side that is read
};

template <class T>
bool replaces(T value, T best) {
  return value > best || value != value;
}

// Positions is void where none are wanted.
template <class T, class Index, bool kIndexed>
LUCID_VECTORIZED void max_row(T* out, Index* position, const T* x, const Row& row) {
  using C = Compute<T>;
  const std::int64_t channels = row.channels;
  for (std::int64_t o = 0; o < row.widths->outputs();
       ++o, out += channels, position += kIndexed ? channels : 0) {
    const std::int64_t *begin = row.widths->begin.data() + o, *index = row.widths->index.data();
    bool fresh = true;
    for (const std::int64_t* d = row.depths.first; d != row.depths.last; ++d)
      for (const std::int64_t* h = row.heights.first; h != row.heights.last; ++h)
        for (std::int64_t k = begin[0]; k < begin[1]; ++k) {
          const std::int64_t at = (*d * row.height + *h) * row.width + index[k];
          const T* from = x + at * channels;
          const Index here = static_cast<Index>(at);
          if (fresh) {
            fresh = false;
            for (std::int64_t c = 0; c < channels; ++c) out[c] = from[c];
            if constexpr (kIndexed)
              for (std::int64_t c = 0; c < channels; ++c) position[c] = here;
          } else {
            for (std::int64_t c = 0; c < channels; ++c) {
              const C value = from[c], best = out[c];
              const bool better = replaces(value, best);
              out[c] = static_cast<T>(better ? value : best);
              if constexpr (kIndexed) position[c] = better ? here : position[c];
            }
          }
        }
    if (fresh)
      for (std::int64_t c = 0; c < channels; ++c) {
        out[c] = static_cast<T>(-std::numeric_limits<C>::infinity());
        if constexpr (kIndexed) position[c] = -1;
      }
  }
}

// The same for one channel, with the best value in a register.
template <class T, class Index, bool kIndexed>
void max_row_single(T* out, Index* position, const T* x, const Row& row) {
  using C = Compute<T>;
  const std::int64_t *index = row.widths->index.data(), *begin = row.widths->begin.data();
  for (std::int64_t o = 0; o < row.widths->outputs(); ++o) {
    C best = -std::numeric_limits<C>::infinity();
    std::int64_t chosen = -1;
    for (const std::int64_t* d = row.depths.first; d != row.depths.last; ++d)
      for (const std::int64_t* h = row.heights.first; h != row.heights.last; ++h) {
        const std::int64_t line = (*d * row.height + *h) * row.width;
        for (std::int64_t k = begin[o]; k < begin[o + 1]; ++k) {
          const C value = static_cast<C>(x[line + index[k]]);
          if (replaces(value, best) || chosen < 0) {
            best = value;
            chosen = line + index[k];
          }
        }
      }
    out[o] = static_cast<T>(best);
    if constexpr (kIndexed) position[o] = static_cast<Index>(chosen);
  }
}

// One row of the input's gradient: each element adds up the outputs that chose it.
template <class T, class Index>
LUCID_VECTORIZED void scatter_row(T* out, const T* grad, const Index* position, std::int64_t first,
                                  const Row& row) {
  using C = Compute<T>;
  const std::int64_t channels = row.channels;
  for (std::int64_t i = 0; i < row.widths->outputs(); ++i, out += channels) {
    const auto here = static_cast<Index>(first + i);
    const std::int64_t *begin = row.widths->begin.data() + i, *index = row.widths->index.data();
    for (std::int64_t c = 0; c < channels; ++c) out[c] = T(0);
    for (const std::int64_t* d = row.depths.first; d != row.depths.last; ++d)
      for (const std::int64_t* h = row.heights.first; h != row.heights.last; ++h)
        for (std::int64_t k = begin[0]; k < begin[1]; ++k) {
          const std::int64_t at = ((*d * row.height + *h) * row.width + index[k]) * channels;
          for (std::int64_t c = 0; c < channels; ++c) {
            const C chosen = grad[at + c];
            out[c] = static_cast<T>(out[c] + (position[at + c] == here ? chosen : C(0)));
          }
        }
  }
}

template <class T, class Index>
void scatter_row_single(T* out, const T* grad, const Index* position, std::int64_t first, const Row& row) {
  const std::int64_t *index = row.widths->index.data(), *begin = row.widths->begin.data();
  for (std::int64_t i = 0; i < row.widths->outputs(); ++i) {
    Compute<T> sum = 0;
    for (const std::int64_t* d = row.depths.first; d != row.depths.last; ++d)
      for (const std::int64_t* h = row.heights.first; h != row.heights.last; ++h) {
        const std::int64_t line = (*d * row.height + *h) * row.width;
        for (std::int64_t k = begin[i]; k < begin[i + 1]; ++k)
          if (position[line + index[k]] == static_cast<Index>(first + i)) sum += grad[line + index[k]];
      }
    out[i] = static_cast<T>(sum);
  }
}

template <class F>
void dispatch_index(DType dtype, F&& f) {
  if (dtype == i32)
    f(TypeTag<std::int32_t>{});
  else
    f(TypeTag<std::int64_t>{});
}

// Calls f(block, d, h) for every row of a volume of `blocks`.
template <class F>
void for_rows_of(const VolumeBlocks& out, F&& f) {
  const std::int64_t rows = out.blocks * out.depth * out.height;
  const std::int64_t grain = kElementGrain / std::max<std::int64_t>(out.width * out.channels, 1) + 1;
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      f(row / out.height / out.depth, row / out.height % out.depth, row % out.height);
  });
}

}  // namespace

namespace {

// `positions` is undefined where none are wanted; all lie channels-last, or all row-major.
void pool_maxima(const Tensor& values, const Tensor& positions, const Tensor& input, const SpatialTaps& taps,
                 bool last) {
  const VolumeBlocks in(input, last), to(values, last);
  const std::int64_t row_size = to.width * to.channels;
  dispatch_floating("max_pool", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = input.data<T>();
    T* y = values.data_to_write<T>();
    const auto run = [&]<class Index, bool kIndexed>(Index* indices) {
      for_rows_of(to, [&](std::int64_t block, std::int64_t d, std::int64_t h) {
        const std::int64_t at = ((block * to.depth + d) * to.height + h) * row_size;
        const Row row{taps_of(taps[0], d), taps_of(taps[1], h), &taps[2], in.height, in.width, in.channels};
        const auto function =
            in.channels == 1 ? max_row_single<T, Index, kIndexed> : max_row<T, Index, kIndexed>;
        function(y + at, kIndexed ? indices + at : nullptr, x + block * in.size(), row);
      });
    };
    if (!positions.defined())
      run.template operator()<std::int32_t, false>(nullptr);
    else
      dispatch_index(positions.dtype(), [&](auto index) {
        using Index = typename decltype(index)::type;
        run.template operator()<Index, true>(positions.template data_to_write<Index>());
      });
  });
}

}  // namespace

Maxima max_pool(const Tensor& given, const SpatialTaps& taps, Positions kind) {
  const bool last = walk_channels_last(given);
  const Tensor input = arranged(given, last);
  const Shape shape{given.shape()[0], given.shape()[1], taps[0].outputs(), taps[1].outputs(),
                    taps[2].outputs()};
  const VolumeBlocks in(input, last);
  Maxima out{empty_volume(shape, input.dtype(), last), Tensor()};
  const bool fits = in.depth * in.height * in.width <= std::numeric_limits<std::int32_t>::max();
  if (kind != Positions::none)
    out.positions = empty_volume(shape, kind == Positions::narrow && fits ? i32 : i64, last);
  pool_maxima(out.values, out.positions, input, taps, last);
  out.values = arranged_as(out.values, given);
  if (kind != Positions::none) out.positions = arranged_as(out.positions, given);
  return out;
}

void max_pool_into(const Tensor& out, const Tensor& input, const SpatialTaps& taps) {
  pool_maxima(out, {}, input, taps, true);
}

Tensor scatter_positions(const Tensor& given, const Tensor& given_positions, const SpatialTaps& taps) {
  const bool last = walk_channels_last(given_positions);
  const Tensor grad = arranged(given, last), positions = arranged(given_positions, last);
  const SpatialTaps back = transposed(taps);
  const Shape shape{given.shape()[0], given.shape()[1], taps[0].inputs, taps[1].inputs, taps[2].inputs};
  const Tensor out = empty_volume(shape, grad.dtype(), last);
  const VolumeBlocks from(grad, last), to(out, last);
  const std::int64_t row_size = to.width * to.channels;
  dispatch_floating("max_pool", grad.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* g = grad.data<T>();
    T* gx = out.data_to_write<T>();
    dispatch_index(positions.dtype(), [&](auto index) {
      using Index = typename decltype(index)::type;
      const Index* p = positions.data<Index>();
      for_rows_of(to, [&](std::int64_t block, std::int64_t d, std::int64_t h) {
        const std::int64_t first = (d * to.height + h) * to.width;
        const Row row{taps_of(back[0], d), taps_of(back[1], h), &back[2],
                      from.height,         from.width,          from.channels};
        const auto function = from.channels == 1 ? scatter_row_single<T, Index> : scatter_row<T, Index>;
        function(gx + ((block * to.depth + d) * to.height + h) * row_size, g + block * from.size(),
                 p + block * from.size(), first, row);
      });
    });
  });
  return arranged_as(out, given_positions);
}

Tensor gather_positions(const Tensor& given, const Tensor& given_positions) {
  const bool last = walk_channels_last(given_positions);
  const Tensor input = arranged(given, last), positions = arranged(given_positions, last);
  const Tensor out = empty_volume(positions.shape(), input.dtype(), last);
  const VolumeBlocks from(input, last), to(out, last);
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = input.data<T>();
    T* y = out.data_to_write<T>();
    dispatch_index(positions.dtype(), [&](auto index) {
      const auto* p = positions.data<typename decltype(index)::type>();
      parallel_for(out.numel(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t block = i / to.size(), channel = i % to.channels;
          y[i] = p[i] < 0 ? T(0) : x[block * from.size() + p[i] * from.channels + channel];
        }
      });
    });
  });
  return arranged_as(out, given_positions);
}

Tensor place_positions(const Tensor& given, const Tensor& given_positions, const Shape& shape) {
  const bool last = walk_channels_last(given);
  const Tensor input = arranged(given, last), positions = arranged(given_positions, last);
  const Tensor out = empty_volume(shape, input.dtype(), last);
  const VolumeBlocks from(input, last), to(out, last);
  dispatch_floating("max_unpool3d", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = input.data<T>();
    T* y = out.data_to_write<T>();
    const std::int64_t* p = positions.data<std::int64_t>();
    const std::int64_t grain =
        std::max<std::int64_t>(1, kElementGrain / std::max<std::int64_t>(1, to.size()));
    parallel_for(from.blocks, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        T* target = y + block * to.size();
        std::fill(target, target + to.size(), T(0));
        for (std::int64_t i = 0; i < from.size(); ++i)
          target[p[block * from.size() + i] * to.channels + i % to.channels] = x[block * from.size() + i];
      }
    });
  });
  return arranged_as(out, given);
}

}  // namespace lucid::kernels
