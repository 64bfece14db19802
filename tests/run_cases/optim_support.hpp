#pragma once
// What the cases of optimisers, schedules and networks share.

#include "case.hpp"
#include "nn/optim/clip.hpp"
#include "nn/optim/optimizer.hpp"
#include "nn/optim/schedule.hpp"

namespace run_cases {

Tolerance optimizer_tolerance(const Case& c);
/// Arguments of an optimiser or a schedule without those that choose an implementation and not a result
/// (foreach, fused, ...), in plain values.
json settings(const json& kwargs);
/// The options of clip_grad_norm_ among its arguments.
lucid::optim::ClipGradNormOptions clip_options(const json& settings);
/// optim::make_schedule, and the schedules with lambdas that it has no way to be given.
std::unique_ptr<lucid::optim::LRScheduler> make_schedule(const std::string& name,
                                                         lucid::optim::Optimizer& optimizer,
                                                         const json& kwargs);

}  // namespace run_cases
