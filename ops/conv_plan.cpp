#include "ops/conv_plan.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "autograd/op_timer.hpp"
#include "lucid/log.hpp"
#include "ops/autotune.hpp"
#include "ops/autotune_store.hpp"
#include "ops/conv_algorithm.hpp"
#include "ops/conv_plan_cache.hpp"
#include "ops/direct/conv.hpp"
#include "ops/direct/depthwise.hpp"
#include "ops/direct/few_channels.hpp"
#include "ops/direct/single_voxel.hpp"
#include "ops/direct/unfolded.hpp"
#include "ops/direct/winograd.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/onednn/conv.hpp"

namespace lucid::ops {
namespace {

// Never destroyed: a convolution may run while static objects go.
PlanCache& cache() {
  static auto* instance = new PlanCache;
  return *instance;
}

constexpr std::string_view pass_name(const ConvGeometry& g, ConvPass pass) {
  if (pass == ConvPass::w) return "weight gradient";
  return (pass == ConvPass::x) == g.transposed ? "forward" : "input gradient";
}

void log_plan(const ConvProblem& p, ConvPass pass, const ConvPlan& plan) {
  if (!logging::enabled(logging::Level::debug)) return;
  const ConvGeometry& g = p.geometry;
  logging::debug(str("plan: ", g.transposed ? "conv_transpose " : "conv ", pass_name(g, pass), ", batch ",
                     p.batch, ", x ", p.x_row(), " x ", g.x, ", y ", p.y_row(), " x ", g.y, ", kernel ",
                     g.kernel, ", stride ", g.stride, ", padding ", g.padding, ", dilation ", g.dilation,
                     ", groups ", g.groups, ": ", plan.implementation));
}

void run_direct(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
                const Tensor& bias, const PackedWeights& kept) {
  switch (pass) {
    case ConvPass::y: return direct::conv_forward(p, x, weight, bias, y, kept);
    case ConvPass::x: return direct::conv_transpose(p, y, weight, bias, x, kept);
    case ConvPass::w: return direct::conv_weight_grad(p, x, y, weight);
  }
}

void run_depthwise(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight,
                   const Tensor& y, const Tensor& bias) {
  switch (pass) {
    case ConvPass::y: return direct::depthwise_forward(p, x, weight, bias, y);
    case ConvPass::x: return direct::depthwise_transpose(p, y, weight, bias, x);
    case ConvPass::w: return direct::depthwise_weight_grad(p, x, y, weight);
  }
}

void run_winograd(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
                  const Tensor& bias, const PackedWeights& kept) {
  switch (pass) {
    case ConvPass::y: return direct::conv_winograd(p, pass, std::array{x}, weight, bias, y, kept);
    case ConvPass::x: return direct::conv_winograd(p, pass, std::array{y}, weight, bias, x, kept);
    case ConvPass::w: return direct::conv_winograd_weight_grad(p, x, y, weight);
  }
}

void execute(const ConvPlan& plan, const ConvProblem& problem, ConvPass pass, const Tensor& x,
             const Tensor& weight, const Tensor& y, const Tensor& bias) {
  ConvProblem p = problem;
  Tensor input = x;
  if (plan.algorithm == ConvAlgorithm::direct && direct::takes_gaps(pass))
    p.x_gap = voxel_gap(x).value();
  else if (pass != ConvPass::x)
    input = in_channels_last(x);
  switch (plan.algorithm) {
    case ConvAlgorithm::onednn: return plan.primitive->run(input, weight, y, bias, plan.weights);
    case ConvAlgorithm::direct: return run_direct(p, pass, input, weight, y, bias, plan.weights);
    case ConvAlgorithm::few_channels:
      return pass == ConvPass::x ? direct::conv_few_channels(p, pass, y, weight, bias, input)
                                 : direct::conv_few_channels(p, pass, input, weight, bias, y);
    case ConvAlgorithm::single_voxel: return direct::run_single_voxel(p, pass, input, weight, y, bias);
    case ConvAlgorithm::unfolded: return direct::run_unfolded(p, pass, input, weight, y, bias);
    case ConvAlgorithm::depthwise: return run_depthwise(p, pass, input, weight, y, bias);
    case ConvAlgorithm::winograd: return run_winograd(p, pass, input, weight, y, bias, plan.weights);
  }
}

Plan plan_of(ConvAlgorithm algorithm, const ConvProblem& problem, ConvPass pass, const Tensor& weight,
             const Tensor& bias) {
  return std::make_shared<const ConvPlan>(problem, pass, weight.dtype(), weight.strides(), bias.defined(),
                                          algorithm);
}

// The fastest of the candidates on these operands. What is produced is written several times.
Plan fastest_plan(const PlanKey& key, const ConvProblem& problem, ConvPass pass, const Tensor& x,
                  const Tensor& weight, const Tensor& y, const Tensor& bias) {
  const std::string name = key.str();
  const std::vector<ConvAlgorithm> candidates =
      ConvPlan::candidates(problem, pass, weight.dtype(), weight.strides());
  // A file may say anything.
  if (const auto known = remembered_choice(name); known && std::ranges::count(candidates, *known))
    if (auto plan = plan_of(*known, problem, pass, weight, bias); plan->algorithm == *known) return plan;
  const std::vector<MeasuredPlan> measured = measured_plans(problem, pass, x, weight, y, bias);
  const auto best = std::ranges::min_element(measured, {}, &MeasuredPlan::seconds);
  remember_choice(name, best->plan->algorithm);
  return best->plan;
}

// `measure` chooses when autotuning.
template <class Measure>
Plan plan_for(const ConvProblem& problem, ConvPass pass, DType dtype, const Tensor& weight,
              const Tensor& bias, Measure&& measure) {
  const Strides& strides = weight.strides();
  const PlanKey key(problem, pass, dtype, strides, bias.defined());
  return cache().find_or_make(key, [&] {
    const Plan fresh = autotune() && dtype != bf16
                           ? measure(key)
                           : std::make_shared<const ConvPlan>(problem, pass, dtype, strides, bias.defined());
    log_plan(problem, pass, *fresh);
    return fresh;
  });
}

// bfloat16 operands in float32.
void run_widened(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                 const Tensor& y, const Tensor& bias) {
  const auto wide = [&](const Tensor& tensor, ConvPass produced_by) {
    const Tensor out = empty_strided(tensor.shape(), channels_last_strides(tensor.shape()), f32);
    if (pass != produced_by) kernels::copy(out, tensor);
    return out;
  };
  const Tensor wide_x = wide(x, ConvPass::x), wide_y = wide(y, ConvPass::y);
  run_conv(problem, pass, wide_x, kernels::converted(weight, f32), wide_y,
           bias.defined() ? kernels::converted(bias, f32) : bias);
  if (pass == ConvPass::x) kernels::copy(x, wide_x);
  if (pass == ConvPass::y) kernels::copy(y, wide_y);
}

// Runs a plan in sight of the statistics and of a profile. bytes: of the operands.
template <class Run>
void counted(const Plan& plan, const ConvProblem& problem, ConvPass pass, std::int64_t bytes, Run&& run) {
  const bool unpacks = pass == ConvPass::w && plan->primitive && plan->primitive->packs_weight();
  cache().count_run(plan, unpacks);
  autograd::OpSink* sink = autograd::detail::op_sink;
  const std::int64_t packed_before = sink ? weights_packed() : 0;
  run();
  if (sink) [[unlikely]]
    sink->kernel({plan->implementation, 2 * problem.work(), static_cast<double>(bytes),
                  unpacks || weights_packed() != packed_before});
}

}  // namespace

std::vector<MeasuredPlan> measured_plans(const ConvProblem& problem, ConvPass pass, const Tensor& x,
                                         const Tensor& weight, const Tensor& y, const Tensor& bias) {
  constexpr int kRuns = 4;
  std::vector<MeasuredPlan> out;
  double best = std::numeric_limits<double>::infinity();
  for (const ConvAlgorithm candidate :
       ConvPlan::candidates(problem, pass, weight.dtype(), weight.strides())) {
    const Plan plan = plan_of(candidate, problem, pass, weight, bias);
    if (plan->algorithm != candidate) continue;
    double seconds = std::numeric_limits<double>::infinity();
    for (int run = 0; run < kRuns; ++run) {
      const auto start = std::chrono::steady_clock::now();
      execute(*plan, problem, pass, x, weight, y, bias);
      seconds =
          std::min(seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      if (run > 0 && seconds > 4 * best) break;  // the first run also prepares
    }
    if (logging::enabled(logging::Level::debug))
      logging::debug(str("autotune: ", plan->implementation, " takes ", seconds * 1e3, " ms"));
    best = std::min(best, seconds);
    out.push_back({plan, seconds});
  }
  return out;
}

void run_conv(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
              const Tensor& y, const Tensor& bias) {
  const Plan plan = plan_for(problem, pass, x.dtype(), weight, bias, [&](const PlanKey& key) {
    return fastest_plan(key, problem, pass, x, weight, y, bias);
  });
  if (x.dtype() == bf16 && !plan->primitive) return run_widened(problem, pass, x, weight, y, bias);
  counted(plan, problem, pass, x.nbytes() + weight.nbytes() + y.nbytes(),
          [&] { execute(*plan, problem, pass, x, weight, y, bias); });
}

bool run_conv_of_parts(const ConvProblem& problem, std::span<const Tensor> parts, const Tensor& weight,
                       const Tensor& y, const Tensor& bias) {
  if (problem.geometry.groups > 1 || !direct::takes_parts(parts) || autotune()) return false;
  const Plan plan = plan_for(problem, ConvPass::y, weight.dtype(), weight, bias, [&](const PlanKey&) {
    return std::make_shared<const ConvPlan>(problem, ConvPass::y, weight.dtype(), weight.strides(),
                                            bias.defined());
  });
  if (plan->algorithm != ConvAlgorithm::winograd) return false;
  Tensors inputs;
  std::int64_t bytes = weight.nbytes() + y.nbytes();
  for (const Tensor& part : parts) {
    inputs.push_back(in_channels_last(part));
    bytes += part.nbytes();
  }
  counted(plan, problem, ConvPass::y, bytes,
          [&] { direct::conv_winograd(problem, ConvPass::y, inputs, weight, bias, y, plan->weights); });
  return true;
}

Tensor in_channels_last(const Tensor& tensor) {
  if (tensor.is_channels_last()) return tensor;
  cache().count_activation_reorder();
  if (autograd::OpSink* sink = autograd::detail::op_sink) [[unlikely]]
    sink->activation_reorder(tensor.nbytes());
  const Tensor out = empty_strided(tensor.shape(), channels_last_strides(tensor.shape()), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

std::optional<std::int64_t> voxel_gap(const Tensor& tensor) {
  const Shape &shape = tensor.shape(), &strides = tensor.strides();
  const std::int64_t channels = shape[1];
  if (channels > 1 && strides[1] != 1) return std::nullopt;
  std::int64_t step = 0, voxels = 1;  // the innermost axis with more than one voxel tells the step
  for (const std::size_t axis : {4, 3, 2, 0}) {
    if (shape[axis] > 1) {
      if (step == 0) step = strides[axis] / voxels;
      if (step < channels || strides[axis] != step * voxels) return std::nullopt;
    }
    voxels *= shape[axis];
  }
  return step == 0 ? 0 : step - channels;
}

}  // namespace lucid::ops

namespace lucid {

PlanStats plan_stats() { return ops::cache().stats(); }
void reset_plan_stats() { ops::cache().reset(); }
void set_plan_limit(std::int64_t count) {
  check(count >= 1, "set_plan_limit", "count is ", count, "; at least 1 is required");
  ops::cache().set_limit(static_cast<std::size_t>(count));
}

}  // namespace lucid
