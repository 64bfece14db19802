#include "ops/direct/packed_weight.hpp"

#include <algorithm>

#include "ops/direct/conv_maps.hpp"

namespace lucid::direct {

template <class T>
PackedWeight<T>::PackedWeight(const ops::ConvProblem& p, const Tensor& weight, bool transposed,
                              const ops::PackedWeights& kept, bool is_for_dots)
    : depth_(transposed ? p.y_channels : p.x_channels),
      columns_(transposed ? p.x_channels : p.y_channels),
      panels_((columns_ + kPanel<T> - 1) / kPanel<T>),
      taps_(p.taps()),
      is_for_dots_(is_for_dots),
      buffer_(kept.find_or_pack(weight,
                                [&] {
                                  return is_for_dots_ ? packed_for_dots(p, weight, transposed)
                                                      : packed(p, weight, transposed);
                                })),
      data_(buffer_.template data<T>()) {}

template <class T>
Tensor PackedWeight<T>::packed(const ops::ConvProblem& p, const Tensor& weight, bool transposed) const {
  const std::int64_t groups = p.geometry.groups, panels = groups * panels_;
  const Tensor out = empty({panels, taps_, depth_, kPanel<T>}, dtype_of<T>());
  T* const to = out.data_to_write<T>();
  const T* const from = weight.data<T>();
  const Strides& s = weight.strides();
  const Dims3& kernel = p.geometry.kernel;
  const std::int64_t depth_step = transposed ? s[0] : s[1], column_step = transposed ? s[1] : s[0];
  // One panel and one contracted channel at a time: the taps of its columns are read where they lie together.
  const std::int64_t tasks = panels * depth_;
  parallel_blocks(tasks, grain_of_copies(weight.numel(), tasks), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t panel = task / depth_, k = task % depth_, group = panel / panels_;
      const std::int64_t first = panel % panels_ * kPanel<T>;
      const std::int64_t count = std::min(kPanel<T>, columns_ - first);
      const T* source = from + group * p.y_channels * s[0] + k * depth_step + first * column_step;
      T* target = to + (panel * taps_ * depth_ + k) * kPanel<T>;
      for (std::int64_t kd = 0; kd < kernel[0]; ++kd)
        for (std::int64_t kh = 0; kh < kernel[1]; ++kh)
          for (std::int64_t kw = 0; kw < kernel[2]; ++kw, target += tap_size()) {
            const T* at = source + kd * s[2] + kh * s[3] + kw * s[4];
            for (std::int64_t j = 0; j < count; ++j) target[j] = at[j * column_step];
            std::fill(target + count, target + kPanel<T>, T(0));
          }
    }
  });
  return out;
}

template <class T>
Tensor PackedWeight<T>::packed_for_dots(const ops::ConvProblem& p, const Tensor& weight,
                                        bool transposed) const {
  const std::int64_t outputs = padded_dots(columns_);
  const Tensor out = empty({taps_, depth_ / kDotLanes, outputs, kDotLanes}, dtype_of<T>());
  T* to = out.data_to_write<T>();
  const T* const from = weight.data<T>();
  const Strides& s = weight.strides();
  const Dims3& kernel = p.geometry.kernel;
  const std::int64_t depth_step = transposed ? s[0] : s[1], column_step = transposed ? s[1] : s[0];
  for (std::int64_t tap = 0; tap < taps_; ++tap) {
    const T* const at = from + tap / kernel[2] / kernel[1] * s[2] + tap / kernel[2] % kernel[1] * s[3] +
                        tap % kernel[2] * s[4];
    for (std::int64_t k = 0; k < depth_; k += kDotLanes)
      for (std::int64_t j = 0; j < outputs; ++j)
        for (std::int64_t i = 0; i < kDotLanes; ++i)
          *to++ = j < columns_ ? at[(k + i) * depth_step + j * column_step] : T(0);
  }
  return out;
}

template class PackedWeight<float>;
template class PackedWeight<double>;

}  // namespace lucid::direct
