#pragma once
// Reductions over any set of axes of a strided tensor. A Reducer says what is kept for one result:
//
//   struct Reducer {
//     using State = double;                                // default-constructible
//     static constexpr bool kOrdered = false;              // true when step() needs the element's index
//     State init(int64 offset) const;                      // of no elements, for the result at `offset`
//     State fresh(const State& of) const;                  // of no elements, for the same result as `of`
//     void step(State&, In element, int64 index) const;    // index among the reduced elements of this result
//     void combine(State&, const State& other) const;      // `other` has other elements; if ordered, later
//     void store(const State&, int64 offset) const;        // offset in elements into the results
//   };
//
// Elements are taken in memory order; with one reduced axis `index` is the position along it. The grouping of
// the elements depends on shape, strides and thread count alone, so results are bitwise repeatable.

#include <memory>
#include <vector>

#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/transpose.hpp"

namespace lucid::kernels {

using Axes = std::vector<std::size_t>;

struct ReducePlan {
  LoopPlan<2> kept;     // of input and result
  LoopPlan<1> reduced;  // of the input
};

/// `result` has the input's shape with 1 at `axes` (keepdim). Axes beyond the rank are ignored (rank 0).
ReducePlan plan_reduce(const Tensor& result, const Tensor& input, const Axes& axes);

/// Uninitialised, of `input`'s shape with 1 at `axes`, the other axes laid out in the input's memory order.
Tensor empty_reduced(const Tensor& input, const Axes& axes, DType dtype);

/// `reduced` (keepdim) without `axes`: a view, not recorded; of a temporary that nobody else holds, itself.
Tensor drop_axes(Tensor reduced, const Axes& axes);

/// The axes that broadcasting `from` to `to` repeats: those added in front and those of size 1 made larger.
Axes broadcast_axes(const Shape& from, const Shape& to);

/// Sums `input` over `axes` into `result` (keepdim shape), divided by `divisor`, kept in double (integers:
/// int64, not divided).
void sum(const Tensor& result, const Tensor& input, const Axes& axes, double divisor = 1.0);

namespace detail {

inline constexpr std::int64_t kReduceBlock = 512;  // results whose states live on the stack at once
inline constexpr std::int64_t kReduceLanes = 32;   // independent partial results along one run
inline constexpr std::int64_t kReduceFlat = 64;    // narrow rows are taken together up to this width
inline constexpr std::int64_t kReduceTile = 64;    // runs, and elements of each, that are turned at once
inline constexpr std::int64_t kShortRun = 256;     // elements of a run that is not worth lanes of its own

// Loops of a reduction: run(reducer, state, ...) is inlined into one function for each width of registers.

// Rows of few columns without gaps: several rows are taken as one, which the compiler vectorises.
struct NarrowRows {
  template <class In, class R>
  static void run(const R& r, typename R::State* state, const In* p, std::int64_t kept, std::int64_t count) {
    using State = typename R::State;
    State flat[kReduceFlat];
    const std::int64_t rows = kReduceFlat / kept, width = rows * kept;
    for (std::int64_t i = 0; i < width; ++i) flat[i] = r.fresh(state[i % kept]);
    std::int64_t k = 0;
    for (; k + rows <= count; k += rows, p += width)
      for (std::int64_t i = 0; i < width; ++i) r.step(flat[i], p[i], 0);
    for (std::int64_t i = 0; i < (count - k) * kept; ++i) r.step(flat[i], p[i], 0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t j = 0; j < kept; ++j) r.combine(state[j], flat[row * kept + j]);
  }
};

// One run along the innermost axis of the memory.
struct Run {
  template <class In, class R>
  static void run(const R& r, typename R::State* state, const In* p, std::int64_t count) {
    using State = typename R::State;
    State lanes[kReduceLanes];
    for (std::int64_t i = 0; i < kReduceLanes; ++i) lanes[i] = r.fresh(*state);
    std::int64_t k = 0;
    for (; k + kReduceLanes <= count; k += kReduceLanes)
      for (std::int64_t i = 0; i < kReduceLanes; ++i) r.step(lanes[i], p[k + i], 0);
    for (std::int64_t i = 0; k + i < count; ++i) r.step(lanes[i], p[k + i], 0);
    for (std::int64_t half = kReduceLanes / 2; half > 0; half /= 2)
      for (std::int64_t i = 0; i < half; ++i) r.combine(lanes[i], lanes[i + half]);
    r.combine(*state, lanes[0]);
  }
};

// Several runs, each too short for the lanes of a long one.
struct ShortRuns {
  static constexpr std::int64_t kLanes = 8;
  template <class In, class R>
  static void run(const R& r, typename R::State* state, const In* p, std::int64_t kept,
                  std::int64_t kept_stride, std::int64_t count) {
    using State = typename R::State;
    for (std::int64_t j = 0; j < kept; ++j, p += kept_stride) {
      State lanes[kLanes];
      for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] = r.fresh(state[j]);
      std::int64_t k = 0;
      for (; k + kLanes <= count; k += kLanes)
        for (std::int64_t i = 0; i < kLanes; ++i) r.step(lanes[i], p[k + i], 0);
      for (; k < count; ++k) r.step(lanes[0], p[k], 0);
      for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
        for (std::int64_t i = 0; i < half; ++i) r.combine(lanes[i], lanes[i + half]);
      r.combine(state[j], lanes[0]);
    }
  }
};

// Rows of many columns, or of columns with gaps.
struct Rows {
  template <class In, class R>
  static void run(const R& r, typename R::State* state, const In* p, std::int64_t kept,
                  std::int64_t kept_stride, std::int64_t count, std::int64_t stride, std::int64_t first) {
    for (std::int64_t k = 0; k < count; ++k, p += stride)
      if (kept_stride == 1)
        for (std::int64_t j = 0; j < kept; ++j) r.step(state[j], p[j], first + k);
      else
        for (std::int64_t j = 0; j < kept; ++j) r.step(state[j], p[j * kept_stride], first + k);
  }
};

struct Columns {
  template <class In, class R>
  static void run(const R& r, typename R::State* state, const In* p, std::int64_t kept,
                  std::int64_t kept_stride, std::int64_t count, std::int64_t stride, std::int64_t first) {
    for (std::int64_t j = 0; j < kept; ++j, p += kept_stride) {
      auto sum = state[j];
      for (std::int64_t k = 0; k < count; ++k) r.step(sum, p[k * stride], first + k);
      state[j] = sum;
    }
  }
};

template <class Loop, class R, class In, class... Counts>
LUCID_VECTORIZED void reduce_hot(const R& r, typename R::State* state, const In* p, Counts... counts) {
  Loop::run(r, state, p, counts...);
}

template <class Loop, class R, class In, class... Counts>
LUCID_VECTORIZED_NARROW void reduce_warm(const R& r, typename R::State* state, const In* p,
                                         Counts... counts) {
  Loop::run(r, state, p, counts...);
}

// Versions cost compile time: all of them for float, one for integers.
template <class Loop, class R, class In, class... Counts>
void reduce_loop(const R& r, typename R::State* state, const In* p, Counts... counts) {
  if constexpr (std::is_same_v<In, float>)
    reduce_hot<Loop>(r, state, p, counts...);
  else if constexpr (is_floating(dtype_of<In>()))
    reduce_warm<Loop>(r, state, p, counts...);
  else
    Loop::run(r, state, p, counts...);
}

// Many short runs, such as the channels of each voxel: turned in tiles, so that the arithmetic goes across
// the runs.
template <class In, class R>
void reduce_turned(const R& r, typename R::State* state, const In* p, std::int64_t kept,
                   std::int64_t kept_stride, std::int64_t count, std::int64_t first) {
  In tile[kReduceTile * kReduceTile];
  for (std::int64_t j = 0; j < kept; j += kReduceTile)
    for (std::int64_t k = 0; k < count; k += kReduceTile) {
      const std::int64_t runs = std::min(kReduceTile, kept - j), length = std::min(kReduceTile, count - k);
      transpose(tile, p + j * kept_stride + k, kReduceTile, kept_stride, length, runs);
      reduce_loop<Rows>(r, state + j, static_cast<const In*>(tile), runs, std::int64_t{1}, length,
                        kReduceTile, first + k);
    }
}

// state[j] takes the elements p[j * kept_stride + k * stride], k < count, whose indices start at `first`.
template <class In, class R>
void reduce_tile(const R& r, typename R::State* state, const In* p, std::int64_t kept,
                 std::int64_t kept_stride, std::int64_t count, std::int64_t stride, std::int64_t first) {
  const bool by_rows = kept > 1 && kept_stride < stride;
  if constexpr (std::is_floating_point_v<In>)
    if (!by_rows && stride == 1 && kept >= kReduceTile / 8 && count > 1 && count <= kShortRun) {
      // What is added up in double takes longer to turn.
      if constexpr (!R::kOrdered && !std::is_same_v<typename R::State, In>)
        if (count >= kReduceLanes) return reduce_loop<ShortRuns>(r, state, p, kept, kept_stride, count);
      return reduce_turned(r, state, p, kept, kept_stride, count, first);
    }
  if constexpr (!R::kOrdered) {
    if (by_rows && kept_stride == 1 && stride == kept && kept <= kReduceFlat / 2 && count > 8)
      return reduce_loop<NarrowRows>(r, state, p, kept, count);
    if (!by_rows && stride == 1 && count >= kReduceLanes) {
      for (std::int64_t j = 0; j < kept; ++j) reduce_loop<Run>(r, state + j, p + j * kept_stride, count);
      return;
    }
  }
  if (by_rows)
    reduce_loop<Rows>(r, state, p, kept, kept_stride, count, stride, first);
  else
    reduce_loop<Columns>(r, state, p, kept, kept_stride, count, stride, first);
}

// Adds the reduced elements [first, last) to state[0..kept) of a run of results that starts at `p`.
template <class In, class R>
void reduce_block(const ReducePlan& plan, const R& r, typename R::State* state, const In* p,
                  std::int64_t kept, std::int64_t first, std::int64_t last) {
  if (first >= last) return;
  const std::int64_t kept_stride = plan.kept.strides[0][plan.kept.rank - 1];
  const std::int64_t stride = plan.reduced.strides[0][plan.reduced.rank - 1];
  for_rows(plan.reduced, first, last, [&](const auto& at, std::int64_t n) {
    reduce_tile(r, state, p + at[0], kept, kept_stride, n, stride, first);
    first += n;
  });
}

// The results [begin, end) in walking order, each complete.
template <class In, class R>
void reduce_complete(const ReducePlan& plan, const R& r, const In* input, std::int64_t begin,
                     std::int64_t end) {
  typename R::State state[kReduceBlock];
  const std::size_t inner = plan.kept.rank - 1;
  const std::int64_t in_stride = plan.kept.strides[0][inner], out_stride = plan.kept.strides[1][inner];
  for_rows(plan.kept, begin, end, [&](const auto& at, std::int64_t n) {
    for (std::int64_t done = 0; done < n; done += kReduceBlock) {
      const std::int64_t kept = std::min(kReduceBlock, n - done);
      for (std::int64_t j = 0; j < kept; ++j) state[j] = r.init(at[1] + (done + j) * out_stride);
      reduce_block(plan, r, state, input + at[0] + done * in_stride, kept, 0, plan.reduced.numel);
      for (std::int64_t j = 0; j < kept; ++j) r.store(state[j], at[1] + (done + j) * out_stride);
    }
  });
}

// Few results of many elements: each thread takes a share of the elements of all results.
template <class In, class R>
void reduce_split(const ReducePlan& plan, const R& r, const In* input, std::int64_t shares) {
  const std::int64_t results = plan.kept.numel, elements = plan.reduced.numel;
  const std::int64_t in_stride = plan.kept.strides[0][plan.kept.rank - 1];
  const std::int64_t out_stride = plan.kept.strides[1][plan.kept.rank - 1];
  const auto states = std::make_unique<typename R::State[]>(static_cast<std::size_t>(shares * results));
  parallel_for(shares, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share) {
      const std::int64_t each = (elements + shares - 1) / shares;
      const std::int64_t first = std::min(elements, share * each), last = std::min(elements, first + each);
      auto* state = states.get() + share * results;
      for_rows(plan.kept, 0, results, [&](const auto& at, std::int64_t n) {
        for (std::int64_t done = 0; done < n; done += kReduceBlock) {
          const std::int64_t kept = std::min(kReduceBlock, n - done);
          for (std::int64_t j = 0; j < kept; ++j) state[j] = r.init(at[1] + (done + j) * out_stride);
          reduce_block(plan, r, state, input + at[0] + done * in_stride, kept, first, last);
          state += kept;
        }
      });
    }
  });
  auto* state = states.get();
  for_rows(plan.kept, 0, results, [&](const auto& at, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j, ++state) {
      for (std::int64_t share = 1; share < shares; ++share) r.combine(*state, state[share * results]);
      r.store(*state, at[1] + j * out_stride);
    }
  });
}

}  // namespace detail

/// Runs `reducer` over `axes` of `input`; `result` (keepdim shape) gives the offsets that store() is called
/// with.
template <class In, class R>
void reduce(const Tensor& result, const Tensor& input, const Axes& axes, const R& reducer) {
  const ReducePlan plan = plan_reduce(result, input, axes);
  const std::int64_t results = plan.kept.numel, elements = plan.reduced.numel;
  if (results == 0) return;
  const In* p = input.data<In>();
  const std::int64_t threads = num_threads();
  const std::int64_t shares =
      std::min(threads, elements / std::max<std::int64_t>(1, kElementGrain / results));
  if (shares > 1 && results < 64 * threads) return detail::reduce_split(plan, reducer, p, shares);
  const std::int64_t grain = std::max<std::int64_t>(1, kElementGrain / std::max<std::int64_t>(1, elements));
  parallel_for(results, grain, [&](std::int64_t begin, std::int64_t end) {
    detail::reduce_complete(plan, reducer, p, begin, end);
  });
}

}  // namespace lucid::kernels
