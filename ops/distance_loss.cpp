// Losses that weigh positions by their distance from the borders of regions.
#include <algorithm>
#include <limits>

#include "autograd/grad_mode.hpp"
#include "lucid/op_scope.hpp"
#include "ops/autocast.hpp"
#include "ops/class_loss.hpp"
#include "ops/compare.hpp"
#include "ops/distance_transform.hpp"
#include "ops/kernels/cross_entropy.hpp"
#include "ops/loss_options.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {

LUCID_OPTIONS(HausdorffDTLossOptions, alpha, include_background, sigmoid, softmax, batch, reduction, sampling,
              ignore_index)
LUCID_OPTIONS(BoundaryLossOptions, include_background, sigmoid, softmax, batch, reduction, sampling,
              ignore_index)

namespace {

const std::string kHausdorff = "hausdorff_dt_loss", kBoundary = "boundary_loss";
constexpr double kThreshold = 0.5;  // above it a probability belongs to the region
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Both (N, C, spatial...), recorded, without a background that is left out.
struct Regions {
  Tensor p, t;
  Tensor counted;  // (N, 1, spatial...), 0 where ignored; undefined: all count
  bool batch = false;

  Tensor inside(const Tensor& values) const {
    const Tensor above = values.detach() > kThreshold;
    return counted.defined() ? logical_and(above, counted) : above;
  }
  // The mean over positions that count, for each sample and class, or class alone; 0 when none counts.
  Tensor mean(const Tensor& values) const {
    DimList dims;
    if (batch) dims.push_back(0);
    for (std::int64_t axis = 2; axis < values.dim(); ++axis) dims.push_back(axis);
    if (counted.defined()) return sum(values * counted, dims) / clamp(sum(counted, dims), Scalar(1.0));
    std::int64_t count = 1;
    for (const std::int64_t axis : dims) count *= values.size(axis);
    return sum(values, dims) / static_cast<double>(std::max<std::int64_t>(1, count));
  }
};

template <class Options>
Regions regions_of(const std::string& op, const Tensor& input, const Tensor& target, const Options& options) {
  ops::check_regions(op, input, target, options.include_background, options.sigmoid, options.softmax);
  check(input.dim() >= 3, op, "input has shape ", input.shape(), "; (N, C, spatial...) is required");
  const kernels::ClassTargets targets = ops::region_targets(op, input, target, options.ignore_index);
  const std::int64_t first = options.include_background ? 0 : 1;
  const auto without = [&](const Tensor& all) { return first ? all.narrow(1, 1, all.size(1) - 1) : all; };
  Regions out;
  out.batch = options.batch;
  out.p = without(options.softmax ? input.softmax(1) : options.sigmoid ? input.sigmoid() : input);
  if (!kernels::is_indices(targets)) {
    out.t = without(target.to(input.dtype()));
    return out;
  }
  const Tensor hot = kernels::class_indicators(targets, input);
  out.t = without(hot);
  const Tensor counted = sum(hot, {1}, true);
  if (!all(counted).item<bool>()) out.counted = counted;
  return out;
}

// Distances of the region's elements from what is outside it, and of those from the region. Where one of the
// two is empty there is no border, and both are 0.
struct Distances {
  Tensor inside, outside;
  Distances(const std::string& loss, const Tensor& region, const std::vector<double>& sampling, DType dtype) {
    const OpScope scope(loss);  // the transform says whose sampling it refuses
    const auto from = [&](const Tensor& mask) {
      // The transform of a mask is float32, unless the mask is float64.
      const Tensor d = distance_transform_edt(dtype == f64 ? mask.to(f64) : mask, {sampling});
      return masked_fill(d, d == kInfinity, 0.0).to(dtype);
    };
    inside = from(region);
    outside = from(logical_not(region));
  }
};

}  // namespace

Tensor hausdorff_dt_loss(const Tensor& given, const Tensor& target, const HausdorffDTLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  check(options.alpha > 0, kHausdorff, "alpha is ", options.alpha, "; above 0 is required");
  const Regions regions = regions_of(kHausdorff, input, target, options);
  Tensor weights;
  {
    const no_grad guard;
    const auto field = [&](const Tensor& values) {
      const Distances d(kHausdorff, regions.inside(values), options.sampling, input.dtype());
      return (d.inside + d.outside).pow(options.alpha);
    };
    weights = field(regions.p) + field(regions.t);
  }
  return ops::reduce_loss(regions.mean((regions.p - regions.t).square() * weights), options.reduction);
}

Tensor boundary_loss(const Tensor& given, const Tensor& target, const BoundaryLossOptions& options) {
  const Tensor input = ops::autocast_loss_operand(given);
  const Regions regions = regions_of(kBoundary, input, target, options);
  Tensor signed_distance;
  {
    const no_grad guard;
    const Distances d(kBoundary, regions.inside(regions.t), options.sampling, input.dtype());
    const auto& spacing = options.sampling;
    const double step = spacing.empty() ? 1 : *std::min_element(spacing.begin(), spacing.end());
    signed_distance = d.outside - clamp(d.inside - step, Scalar(0.0));
  }
  return ops::reduce_loss(regions.mean(regions.p * signed_distance), options.reduction);
}

namespace ops {
namespace {

// Of one-hot targets only those whose gradient the loss has.
std::vector<Sample> region_samples(Generator& generator, bool soft) {
  const Shape volume{2, 3, 3, 2, 4}, positions{2, 3, 2, 4};
  const auto x = [&] { return normal(volume, generator) * 2.0; };
  const auto labels = [&](const Shape& shape) { return randint(0, 3, shape, i64, &generator); };
  const auto mask = [&] { return randint(0, 2, volume, i32, &generator); };
  return {{{x(), labels(positions)}, {{"softmax", true}, {"include_background", true}}},
          {{x(), labels({2, 1, 3, 2, 4}).to(u8)},
           {{"softmax", true}, {"include_background", false}, {"batch", true}, {"ignore_index", 1}}},
          {{x(), soft ? mask().to(f64) : mask()},
           {{"sigmoid", true}, {"reduction", "none"}, {"sampling", {0.5, 2.0, 1.0}}}},
          {{uniform(volume, 0, 1, generator), mask()}, {{"reduction", "sum"}, {"sampling", {1.5}}}},
          {{x(), zeros(positions, i64)}, {{"softmax", true}}}};
}

std::vector<ErrorCase> region_errors() {
  const Tensor x = ones({2, 3, 2, 2}, f64), t = zeros({2, 2, 2}, i64);
  return {{{x, zeros({2, 2, 3}, i64)}, {}, "(2, 2, 3)"},
          {{x, full({2, 2, 2}, 7, i64)}, {}, "class index 7"},
          {{x, full({2, 3, 2, 2}, 255, u8)}, {}, "holds 255"},
          {{x, t}, {{"sigmoid", true}, {"softmax", true}}, "both"},
          {{x, t}, {{"sampling", {1.0, 1.0, 1.0}}}, "3 values"},
          {{ones({2, 3}, f64), zeros({2}, i64)}, {}, "(2, 3)"},
          {{ones({2, 1, 2}, f64), zeros({2, 2}, i64)}, {{"include_background", false}}, "(2, 1, 2)"}};
}

}  // namespace

Op hausdorff_dt_loss_op() {
  return {
      .name = kHausdorff,
      .doc =
          "mean of (p - t)^2 (d_p^alpha + d_t^alpha), d the distance from the border of the region in p or "
          "t: input (N, C, ...), target indices (N, ...) or one-hot",
      .inputs = {{"input"}, {"target"}},
      .defaults = default_options<HausdorffDTLossOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
        return {
            lucid::hausdorff_dt_loss(in[0], in[1], read_options<HausdorffDTLossOptions>(kHausdorff, given))};
      },
      .samples =
          [](Generator& generator) {
            auto samples = region_samples(generator, true);
            samples[0].options.set("alpha", 1.5);
            return samples;
          },
      .errors =
          [] {
            auto errors = region_errors();
            errors.push_back({{ones({2, 3, 2}, f64), zeros({2, 2}, i64)}, {{"alpha", 0}}, "alpha is 0"});
            return errors;
          }};
}

Op boundary_loss_op() {
  return {.name = kBoundary,
          .doc =
              "mean of p times the signed distance from the border of the target's region, negative inside: "
              "input (N, C, ...), target indices (N, ...) or one-hot",
          .inputs = {{"input"}, {"target"}},
          .defaults = default_options<BoundaryLossOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::boundary_loss(in[0], in[1], read_options<BoundaryLossOptions>(kBoundary, given))};
          },
          .samples = [](Generator& generator) { return region_samples(generator, false); },
          .errors = region_errors};
}

}  // namespace ops
}  // namespace lucid
