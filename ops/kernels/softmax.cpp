#include "ops/kernels/softmax.hpp"

#include <memory>

#include "ops/kernels/classes.hpp"

namespace lucid::kernels {
namespace {

// Many classes side by side in memory are walked along the classes instead.
constexpr std::int64_t kLongRow = 128;
constexpr std::int64_t kRowLanes = 16;

// Runs of `count` values in scratch; sums in double.
template <class C>
LUCID_VECTORIZED C row_largest(const C* v, std::int64_t count) {
  C lanes[kRowLanes];
  for (std::int64_t i = 0; i < kRowLanes; ++i) lanes[i] = v[0];
  std::int64_t k = 0;
  for (; k + kRowLanes <= count; k += kRowLanes)
    for (std::int64_t i = 0; i < kRowLanes; ++i) lanes[i] = lanes[i] < v[k + i] ? v[k + i] : lanes[i];
  for (std::int64_t i = 0; k + i < count; ++i) lanes[i] = lanes[i] < v[k + i] ? v[k + i] : lanes[i];
  for (std::int64_t i = 1; i < kRowLanes; ++i) lanes[0] = lanes[0] < lanes[i] ? lanes[i] : lanes[0];
  return lanes[0];
}

template <class C, class F>
LUCID_VECTORIZED double row_sum(std::int64_t count, F term) {
  double lanes[kRowLanes] = {};
  std::int64_t k = 0;
  for (; k + kRowLanes <= count; k += kRowLanes)
    for (std::int64_t i = 0; i < kRowLanes; ++i) lanes[i] += static_cast<double>(term(k + i));
  for (std::int64_t i = 0; k + i < count; ++i) lanes[i] += static_cast<double>(term(k + i));
  for (std::int64_t half = kRowLanes / 2; half > 0; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

template <class C, class T>
LUCID_VECTORIZED void softmax_row(T* out, const T* in, C* e, std::int64_t out_stride, std::int64_t count,
                                  bool logarithm) {
  for (std::int64_t c = 0; c < count; ++c) e[c] = static_cast<C>(in[c]);
  const C largest = row_largest(e, count);
  for (std::int64_t c = 0; c < count; ++c) e[c] = math::exp(e[c] - largest);
  const double sum = row_sum<C>(count, [e](std::int64_t c) { return e[c]; });
  const C log_sum = static_cast<C>(std::log(sum)), inverse = static_cast<C>(1 / sum);
  for (std::int64_t c = 0; c < count; ++c)
    out[c * out_stride] =
        static_cast<T>(logarithm ? static_cast<C>(in[c]) - largest - log_sum : e[c] * inverse);
}

template <class C, class T>
LUCID_VECTORIZED void backward_row(T* out, const T* grad, const T* y, std::int64_t out_stride,
                                   std::int64_t grad_stride, std::int64_t count, bool logarithm) {
  if (logarithm) {
    const C sum = static_cast<C>(
        row_sum<C>(count, [=](std::int64_t c) { return static_cast<C>(grad[c * grad_stride]); }));
    for (std::int64_t c = 0; c < count; ++c)
      out[c * out_stride] =
          static_cast<T>(static_cast<C>(grad[c * grad_stride]) - math::exp(static_cast<C>(y[c])) * sum);
  } else {
    const C dot = static_cast<C>(row_sum<C>(
        count, [=](std::int64_t c) { return static_cast<C>(grad[c * grad_stride]) * static_cast<C>(y[c]); }));
    for (std::int64_t c = 0; c < count; ++c)
      out[c * out_stride] =
          static_cast<T>(static_cast<C>(y[c]) * (static_cast<C>(grad[c * grad_stride]) - dot));
  }
}

// `v` holds the inputs and becomes the results.
template <class C>
LUCID_VECTORIZED void softmax_block(C* v, std::int64_t lanes, std::int64_t classes, bool logarithm,
                                    C* scratch) {
  C largest[kClassLanes], sums[kClassLanes];
  largest_class(v, lanes, classes, largest);
  if (!logarithm) {
    exponentials(v, lanes, classes, largest, sums);
    for (std::int64_t i = 0; i < lanes; ++i) sums[i] = C(1) / sums[i];
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t i = 0; i < lanes; ++i) v[c * kClassLanes + i] *= sums[i];
    return;
  }
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i) scratch[c * kClassLanes + i] = v[c * kClassLanes + i];
  exponentials(scratch, lanes, classes, largest, sums);
  for (std::int64_t i = 0; i < lanes; ++i) sums[i] = math::log(sums[i]);
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t i = 0; i < lanes; ++i)
      v[c * kClassLanes + i] = v[c * kClassLanes + i] - largest[i] - sums[i];
}

// `grad` becomes the gradient of the input; `y` is the result.
template <class C>
LUCID_VECTORIZED void backward_block(C* grad, const C* y, std::int64_t lanes, std::int64_t classes,
                                     bool logarithm) {
  C sums[kClassLanes] = {};
  for (std::int64_t c = 0; c < classes; ++c, grad += kClassLanes, y += kClassLanes)
    for (std::int64_t i = 0; i < lanes; ++i) sums[i] += logarithm ? grad[i] : grad[i] * y[i];
  for (std::int64_t c = 0; c < classes; ++c) {
    grad -= kClassLanes, y -= kClassLanes;
    if (logarithm)
      for (std::int64_t i = 0; i < lanes; ++i) grad[i] -= math::exp(y[i]) * sums[i];
    else
      for (std::int64_t i = 0; i < lanes; ++i) grad[i] = y[i] * (grad[i] - sums[i]);
  }
}

// The values of a block, uninitialised: of few classes on the stack, since an allocation takes as long as a
// small softmax.
template <class C>
class BlockValues {
 public:
  explicit BlockValues(std::int64_t count)
      : large_(count > kFew ? std::make_unique_for_overwrite<C[]>(static_cast<std::size_t>(count))
                            : nullptr) {}
  C* data() { return large_ ? large_.get() : few_; }

 private:
  static constexpr std::int64_t kFew = 8 * kClassLanes;
  C few_[kFew];
  std::unique_ptr<C[]> large_;
};

// Few values whose classes lie side by side: planning and rearranging blocks takes longer than the
// arithmetic.
constexpr std::int64_t kFewValues = 128;

bool are_few_rows(const Tensor& out, std::size_t axis, std::initializer_list<const Tensor*> operands) {
  if (out.numel() > kFewValues || out.shape().empty() || out.strides()[axis] != 1 || !out.is_dense())
    return false;
  for (const Tensor* operand : operands)
    if (operand->strides() != out.strides()) return false;
  return true;
}

template <class C, class T>
LUCID_VECTORIZED void softmax_few(T* out, const T* in, std::int64_t count, std::int64_t classes,
                                  bool logarithm) {
  C v[kFewValues], e[kFewValues];
  for (std::int64_t at = 0; at < count; at += classes) {
    C largest = static_cast<C>(in[at]);
    for (std::int64_t c = at + 1; c < at + classes; ++c) {
      const C x = static_cast<C>(in[c]);
      largest = largest < x ? x : largest;
    }
    for (std::int64_t c = at; c < at + classes; ++c) v[c] = static_cast<C>(in[c]) - largest;
  }
  for (std::int64_t i = 0; i < count; ++i) e[i] = math::exp(v[i]);
  for (std::int64_t at = 0; at < count; at += classes) {
    C sum = 0;
    for (std::int64_t c = at; c < at + classes; ++c) sum += e[c];
    const C scale = logarithm ? math::log(sum) : C(1) / sum;
    for (std::int64_t c = at; c < at + classes; ++c)
      out[c] = static_cast<T>(logarithm ? v[c] - scale : e[c] * scale);
  }
}

template <class C, class T>
LUCID_VECTORIZED void backward_few(T* out, const T* grad, const T* y, std::int64_t count,
                                   std::int64_t classes, bool logarithm) {
  C g[kFewValues], result[kFewValues];
  for (std::int64_t i = 0; i < count; ++i) g[i] = static_cast<C>(grad[i]), result[i] = static_cast<C>(y[i]);
  for (std::int64_t at = 0; at < count; at += classes) {
    C sum = 0;
    for (std::int64_t c = at; c < at + classes; ++c) sum += logarithm ? g[c] : g[c] * result[c];
    for (std::int64_t c = at; c < at + classes; ++c) {
      const C factor = logarithm ? math::exp(result[c]) : result[c];
      out[c] = static_cast<T>(logarithm ? g[c] - factor * sum : factor * (g[c] - sum));
    }
  }
}

template <class T>
void softmax_of(const Tensor& out, const Tensor& input, std::size_t axis, bool logarithm) {
  using C = Compute<T>;
  T* po = out.data_to_write<T>();
  const T* pi = input.data<T>();
  if (are_few_rows(out, axis, {&input}))
    return softmax_few<C>(po, pi, out.numel(), out.shape()[axis], logarithm);
  const auto plan = plan_classes<2>(out.shape(), axis, {out.strides(), input.strides()});
  const bool rows = plan.class_strides[1] == 1 && plan.classes >= kLongRow;
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t size = plan.classes * (rows ? 1 : kClassLanes);
    BlockValues<C> values(size), scratch(logarithm && !rows ? size : 0);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      if (rows) {
        for (std::int64_t i = 0; i < lanes; ++i)
          softmax_row(po + at[0] + i * plan.lane_strides[0], pi + at[1] + i * plan.lane_strides[1],
                      values.data(), plan.class_strides[0], plan.classes, logarithm);
        return;
      }
      load_classes(values.data(), pi + at[1], lanes, plan.lane_strides[1], plan.classes,
                   plan.class_strides[1]);
      softmax_block(values.data(), lanes, plan.classes, logarithm, scratch.data());
      store_classes(po + at[0], values.data(), lanes, plan.lane_strides[0], plan.classes,
                    plan.class_strides[0]);
    });
  });
}

template <class T>
void backward_of(const Tensor& out, const Tensor& grad, const Tensor& result, std::size_t axis,
                 bool logarithm) {
  using C = Compute<T>;
  T* po = out.data_to_write<T>();
  const T *pg = grad.data<T>(), *py = result.data<T>();
  if (are_few_rows(out, axis, {&grad, &result}))
    return backward_few<C>(po, pg, py, out.numel(), out.shape()[axis], logarithm);
  const auto plan = plan_classes<3>(out.shape(), axis, {out.strides(), grad.strides(), result.strides()});
  const bool rows = plan.class_strides[2] == 1 && plan.classes >= kLongRow;
  parallel_for(plan.positions.numel, class_grain(plan.classes), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t size = rows ? 0 : plan.classes * kClassLanes;
    BlockValues<C> grads(size), results(size);
    for_class_blocks(plan, begin, end, [&](const auto& at, std::int64_t lanes) {
      if (rows) {
        for (std::int64_t i = 0; i < lanes; ++i)
          backward_row<C>(po + at[0] + i * plan.lane_strides[0], pg + at[1] + i * plan.lane_strides[1],
                          py + at[2] + i * plan.lane_strides[2], plan.class_strides[0], plan.class_strides[1],
                          plan.classes, logarithm);
        return;
      }
      load_classes(grads.data(), pg + at[1], lanes, plan.lane_strides[1], plan.classes,
                   plan.class_strides[1]);
      load_classes(results.data(), py + at[2], lanes, plan.lane_strides[2], plan.classes,
                   plan.class_strides[2]);
      backward_block(grads.data(), results.data(), lanes, plan.classes, logarithm);
      store_classes(po + at[0], grads.data(), lanes, plan.lane_strides[0], plan.classes,
                    plan.class_strides[0]);
    });
  });
}

}  // namespace

void softmax(const Tensor& out, const Tensor& input, std::size_t axis, bool logarithm) {
  if (out.numel() == 0) return;
  dispatch_floating("softmax", out.dtype(),
                    [&](auto tag) { softmax_of<typename decltype(tag)::type>(out, input, axis, logarithm); });
}

void softmax_backward(const Tensor& grad_input, const Tensor& grad, const Tensor& result, std::size_t axis,
                      bool logarithm) {
  if (grad_input.numel() == 0) return;
  dispatch_floating("softmax", grad_input.dtype(), [&](auto tag) {
    backward_of<typename decltype(tag)::type>(grad_input, grad, result, axis, logarithm);
  });
}

}  // namespace lucid::kernels
