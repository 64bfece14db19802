#pragma once
// Targets of losses over classes, as indices or as probabilities, brought block by block into the class-major
// scratch of classes.hpp.

#include "ops/kernels/classes.hpp"

namespace lucid::kernels {

/// q_c, what a class counts at a position: weight_c * ((1 - smoothing) * t_c + smoothing / C), where t is the
/// target's one-hot code or its probabilities; 0 at ignored positions.
struct ClassTargets {
  std::string_view op;
  Tensor target;                // indices (the input's shape without `axis`) or probabilities (input's shape)
  std::vector<double> weights;  // C of them
  std::size_t axis = 1;
  std::int64_t ignore_index = -100;
  double smoothing = 0;
};

// The targets of one block: class indices (0 where ignored), and 1 or 0 for counted or ignored.
template <class C>
struct IndexLanes {
  std::int64_t index[kClassLanes];
  C weight[kClassLanes];
  C counted[kClassLanes];
};

template <class C, class I>
void read_indices(const ClassTargets& targets, const I* p, std::int64_t stride, std::int64_t lanes,
                  const std::vector<C>& weights, IndexLanes<C>& out) {
  const auto classes = static_cast<std::int64_t>(weights.size());
  for (std::int64_t i = 0; i < lanes; ++i) {
    const auto index = static_cast<std::int64_t>(p[i * stride]);
    const bool ignored = index == targets.ignore_index;
    if (!ignored && (index < 0 || index >= classes)) [[unlikely]]
      raise(targets.op, "target holds the class index ", index, ", input has ", classes, " classes; 0 to ",
            classes - 1, " are valid, and ignore_index, which is ", targets.ignore_index);
    out.index[i] = ignored ? 0 : index;
    out.weight[i] = ignored ? C(0) : weights[static_cast<std::size_t>(index)];
    out.counted[i] = ignored ? C(0) : C(1);
  }
}

template <class C>
void read_indices(const ClassTargets& targets, std::int64_t offset, std::int64_t stride, std::int64_t lanes,
                  const std::vector<C>& weights, IndexLanes<C>& out) {
  const Tensor& target = targets.target;
  if (target.dtype() == i64)
    read_indices(targets, target.data<std::int64_t>() + offset, stride, lanes, weights, out);
  else if (target.dtype() == i32)
    read_indices(targets, target.data<std::int32_t>() + offset, stride, lanes, weights, out);
  else
    read_indices(targets, target.data<std::uint8_t>() + offset, stride, lanes, weights, out);
}

// Strides of a tensor of the positions' shape (or one that broadcasts to it) with the class axis put in.
inline Strides position_strides(const Tensor& tensor, const Shape& shape, std::size_t axis) {
  Shape positions = shape;
  positions.erase(axis);
  Strides strides = broadcast_strides(tensor, positions);
  strides.insert(axis, 0);
  return strides;
}

inline bool is_indices(const ClassTargets& targets) { return !is_floating(targets.target.dtype()); }

inline Strides target_strides(const ClassTargets& targets, const Shape& shape) {
  return is_indices(targets) ? position_strides(targets.target, shape, targets.axis)
                             : targets.target.strides();
}

template <class C>
struct ClassScratch {
  ClassScratch(const ClassTargets& targets, std::int64_t classes)
      : weights(targets.weights.begin(), targets.weights.end()),
        x(static_cast<std::size_t>(classes * kClassLanes)),
        q(x.size()) {}
  std::vector<C> weights;
  std::vector<C> x, q;       // class-major: inputs, what each class counts
  C sums[kClassLanes] = {};  // one number for each position
  IndexLanes<C> indices;
};

// q from the indices, class by class: one comparison each, which vectorises.
template <class C>
LUCID_VECTORIZED void spread_indices(const IndexLanes<C>& t, const C* weights, std::int64_t lanes,
                                     std::int64_t classes, C keep, C share, C* q) {
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i)
      q[c * kClassLanes + i] =
          weights[c] * ((t.index[i] == c ? keep * t.counted[i] : C(0)) + share * t.counted[i]);
}

template <class C>
LUCID_VECTORIZED void spread_probabilities(const C* weights, std::int64_t lanes, std::int64_t classes, C keep,
                                           C share, C* q) {
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i)
      q[c * kClassLanes + i] = weights[c] * (keep * q[c * kClassLanes + i] + share);
}

// Fills scratch.q for a block whose target starts at `offset`; returns the weight of its targets.
template <class T, class C>
double load_targets(const ClassTargets& targets, ClassScratch<C>& scratch, std::int64_t offset,
                    std::int64_t lane_stride, std::int64_t class_stride, std::int64_t lanes) {
  const auto classes = static_cast<std::int64_t>(scratch.weights.size());
  const C keep = static_cast<C>(1 - targets.smoothing);
  const C share = static_cast<C>(targets.smoothing / static_cast<double>(classes));
  if (!is_indices(targets)) {
    load_classes(scratch.q.data(), targets.target.data<T>() + offset, lanes, lane_stride, classes,
                 class_stride);
    spread_probabilities(scratch.weights.data(), lanes, classes, keep, share, scratch.q.data());
    return static_cast<double>(lanes);
  }
  read_indices(targets, offset, lane_stride, lanes, scratch.weights, scratch.indices);
  spread_indices(scratch.indices, scratch.weights.data(), lanes, classes, keep, share, scratch.q.data());
  double weight = 0;
  for (std::int64_t i = 0; i < lanes; ++i) weight += static_cast<double>(scratch.indices.weight[i]);
  return weight;
}

/// Which lanes count: those with indices say so, of probabilities all do.
template <class C>
const C* counted_lanes(const ClassTargets& targets, ClassScratch<C>& scratch) {
  if (!is_indices(targets)) std::fill_n(scratch.indices.counted, kClassLanes, C(1));
  return scratch.indices.counted;
}

}  // namespace lucid::kernels
