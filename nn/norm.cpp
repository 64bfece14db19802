#include "nn/norm.hpp"

#include "nn/layer_checks.hpp"
#include "ops/norm.hpp"

namespace lucid::nn {

using detail::python;

namespace {

void make_affine(Parameter& weight, Parameter& bias, const Shape& shape) {
  weight = Parameter(ones(shape));
  bias = Parameter(zeros(shape));
}

// The buffers of a layer with running statistics.
template <class Layer>
void make_statistics(Layer& layer) {
  layer.running_mean = Buffer(zeros({layer.num_features}));
  layer.running_var = Buffer(ones({layer.num_features}));
  layer.num_batches_tracked = Buffer(zeros({}, i64));
}

void check_common(std::string_view layer, const char* what, std::int64_t channels, double eps) {
  check(channels >= 1, layer, what, " is ", channels, "; at least 1 is required");
  check(eps >= 0, layer, "eps is ", eps, "; it must not be negative");
}

void check_momentum(std::string_view layer, double momentum) {
  check(momentum >= 0 && momentum <= 1, layer, "momentum is ", momentum, "; it must lie in [0, 1]");
}

// `least` and `most`: the ranks that the layer takes, one or two.
void check_input(std::string_view layer, const Tensor& input, std::int64_t least, std::int64_t most,
                 std::int64_t channel_axis, std::int64_t channels) {
  check(input.defined(), layer, "the input is undefined");
  check(input.dim() >= least && input.dim() <= most, layer, "input has shape ", input.shape(), "; rank ",
        least == most ? lucid::str(least) : lucid::str(least, " or ", most), " is required");
  check(input.size(channel_axis) == channels, layer, "input has shape ", input.shape(),
        "; num_features = ", channels, " channels are required on axis ", channel_axis);
}

void check_normalized(std::string_view layer, const Shape& shape, double eps) {
  check(!shape.empty(), layer, "normalized_shape is (); at least one axis is required");
  for (std::int64_t size : shape)
    check(size >= 1, layer, "normalized_shape is ", shape, "; sizes of at least 1 are required");
  check(eps >= 0, layer, "eps is ", eps, "; it must not be negative");
}

}  // namespace

template <std::size_t N>
BatchNorm<N>::BatchNorm(std::int64_t num_features_, const BatchNormLayerOptions& options_)
    : num_features(num_features_), options(options_) {
  check_common(type_name(), "num_features", num_features, options.eps);
  if (options.momentum) check_momentum(type_name(), *options.momentum);
  if (options.affine) make_affine(weight, bias, {num_features});
  if (options.track_running_stats) make_statistics(*this);
}

template <std::size_t N>
Tensor BatchNorm<N>::operator()(const Tensor& input, double negative_slope) const {
  const ErrorScope scope(path());
  constexpr std::int64_t kRank = N + 2;
  check_input(type_name(), input, N == 1 ? 2 : kRank, kRank, 1, num_features);
  const bool own_statistics = training() || !running_mean.defined();
  const bool update = training() && running_mean.defined();
  const std::int64_t batches = update ? num_batches_tracked.item<std::int64_t>() + 1 : 1;
  const double momentum = options.momentum.value_or(1.0 / static_cast<double>(batches));
  const BatchNormOptions o{
      .training = own_statistics, .momentum = momentum, .eps = options.eps, .negative_slope = negative_slope};
  Tensor out = batch_norm(input, running_mean, running_var, weight, bias, o);
  if (update) num_batches_tracked.fill_(batches);
  return out;
}

template <std::size_t N>
std::string BatchNorm<N>::type_name() const {
  return lucid::str("BatchNorm", N, "d");
}

template <std::size_t N>
std::string BatchNorm<N>::extra_repr() const {
  const std::string momentum = options.momentum ? python(*options.momentum) : "None";
  return lucid::str(num_features, ", eps=", python(options.eps), ", momentum=", std::string_view(momentum),
                    ", affine=", python(options.affine),
                    ", track_running_stats=", python(options.track_running_stats));
}

template <std::size_t N>
InstanceNorm<N>::InstanceNorm(std::int64_t num_features_, const InstanceNormLayerOptions& options_)
    : num_features(num_features_), options(options_) {
  check_common(type_name(), "num_features", num_features, options.eps);
  check_momentum(type_name(), options.momentum);
  if (options.affine) make_affine(weight, bias, {num_features});
  if (options.track_running_stats) make_statistics(*this);
}

template <std::size_t N>
Tensor InstanceNorm<N>::operator()(const Tensor& input, double negative_slope) const {
  const ErrorScope scope(path());
  check_input(type_name(), input, N + 1, N + 2, -static_cast<std::int64_t>(N) - 1, num_features);
  const bool batched = input.dim() == N + 2;
  const InstanceNormOptions o{.use_input_stats = training() || !options.track_running_stats,
                              .momentum = options.momentum,
                              .eps = options.eps,
                              .negative_slope = negative_slope};
  const Tensor out =
      instance_norm(batched ? input : input.unsqueeze(0), running_mean, running_var, weight, bias, o);
  return batched ? out : out.squeeze(0);
}

template <std::size_t N>
std::string InstanceNorm<N>::type_name() const {
  return lucid::str("InstanceNorm", N, "d");
}

template <std::size_t N>
std::string InstanceNorm<N>::extra_repr() const {
  return lucid::str(num_features, ", eps=", python(options.eps), ", momentum=", python(options.momentum),
                    ", affine=", python(options.affine),
                    ", track_running_stats=", python(options.track_running_stats));
}

GroupNorm::GroupNorm(std::int64_t num_groups_, std::int64_t num_channels_,
                     const GroupNormLayerOptions& options_)
    : num_groups(num_groups_), num_channels(num_channels_), options(options_) {
  check_common("GroupNorm", "num_channels", num_channels, options.eps);
  check(num_groups >= 1 && num_channels % num_groups == 0, "GroupNorm", "num_groups is ", num_groups,
        "; it must divide num_channels = ", num_channels);
  if (options.affine) make_affine(weight, bias, {num_channels});
}

Tensor GroupNorm::operator()(const Tensor& input, double negative_slope) const {
  const ErrorScope scope(path());
  return group_norm(input, num_groups, weight, bias, options.eps, negative_slope);
}

std::string GroupNorm::extra_repr() const {
  return lucid::str(num_groups, ", ", num_channels, ", eps=", python(options.eps),
                    ", affine=", python(options.affine));
}

LayerNorm::LayerNorm(const Shape& normalized_shape_, const LayerNormLayerOptions& options_)
    : normalized_shape(normalized_shape_), options(options_) {
  check_normalized("LayerNorm", normalized_shape, options.eps);
  if (options.elementwise_affine) make_affine(weight, bias, normalized_shape);
}

Tensor LayerNorm::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return layer_norm(input, normalized_shape, weight, bias, options.eps);
}

std::string LayerNorm::extra_repr() const {
  return lucid::str(detail::tuple(normalized_shape), ", eps=", python(options.eps),
                    ", elementwise_affine=", python(options.elementwise_affine));
}

RMSNorm::RMSNorm(const Shape& normalized_shape_, const RMSNormLayerOptions& options_)
    : normalized_shape(normalized_shape_), options(options_) {
  check_normalized("RMSNorm", normalized_shape, options.eps.value_or(0));
  if (options.elementwise_affine) weight = Parameter(ones(normalized_shape));
}

Tensor RMSNorm::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return rms_norm(input, normalized_shape, weight, options.eps);
}

std::string RMSNorm::extra_repr() const {
  const std::string eps = options.eps ? python(*options.eps) : "None";
  return lucid::str(detail::tuple(normalized_shape), ", eps=", std::string_view(eps),
                    ", elementwise_affine=", python(options.elementwise_affine));
}

template struct BatchNorm<1>;
template struct BatchNorm<2>;
template struct BatchNorm<3>;
template struct InstanceNorm<1>;
template struct InstanceNorm<2>;
template struct InstanceNorm<3>;

}  // namespace lucid::nn
