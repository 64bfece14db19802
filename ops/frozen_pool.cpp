#include "ops/frozen_pool.hpp"

#include "ops/kernels/max_pool.hpp"
#include "ops/kernels/volume.hpp"
#include "ops/options.hpp"
#include "ops/pool_windows.hpp"

namespace lucid {

// Defined beside their ops.
void to_json(nlohmann::json& out, const MaxPool1dOptions& options);
void to_json(nlohmann::json& out, const MaxPool2dOptions& options);
void to_json(nlohmann::json& out, const MaxPool3dOptions& options);
void from_json(const nlohmann::json& in, MaxPool1dOptions& options);
void from_json(const nlohmann::json& in, MaxPool2dOptions& options);
void from_json(const nlohmann::json& in, MaxPool3dOptions& options);

namespace ops {
namespace {

constexpr std::string_view kStem = "max_pool";

template <std::size_t N>
Windows windows(std::string_view op, const nlohmann::json& options) {
  const auto o = read_options<MaxPoolOptions<N>>(op, options);
  return {on_three_axes(o.kernel_size, 1), on_three_axes(o.stride.value_or(o.kernel_size), 1),
          on_three_axes(o.padding, 0), on_three_axes(o.dilation, 1), o.ceil_mode};
}

Windows windows_of(std::string_view op, std::size_t axes, const nlohmann::json& options) {
  if (axes == 1) return windows<1>(op, options);
  return axes == 2 ? windows<2>(op, options) : windows<3>(op, options);
}

}  // namespace

bool is_max_pool(std::string_view op) {
  return op.size() == kStem.size() + 2 && op.starts_with(kStem) && op.ends_with('d') &&
         op[kStem.size()] >= '1' && op[kStem.size()] <= '3';
}

FrozenMaxPool::FrozenMaxPool(std::string_view op, const nlohmann::json& options, const Tensor& input)
    : axes_(static_cast<std::size_t>(op[kStem.size()] - '0')) {
  const Tensor volume = kernels::as_volume(op, input, axes_);
  const Windows given = windows_of(op, axes_, options);
  taps_ = window_taps(volume, given, pooled_shape(op, volume, given));
}

void FrozenMaxPool::run(const Tensor& input, const Tensor& out) const {
  kernels::max_pool_into(kernels::as_volume("max_pool", out, axes_),
                         kernels::as_volume("max_pool", input, axes_), taps_);
}

}  // namespace ops
}  // namespace lucid
