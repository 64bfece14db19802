#pragma once
// Optimisers and schedules by name, for configuration files. Options are JSON objects whose keys are
// PyTorch's argument names; an unknown key or a value of the wrong kind is an Error that names it.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "nn/optim/optimizer.hpp"
#include "nn/optim/schedule.hpp"

namespace lucid::optim {

/// "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad" or "Adadelta".
std::unique_ptr<Optimizer> make(std::string_view name, std::vector<Tensor> params,
                                const nlohmann::json& options);
/// With several groups: overrides[i] changes options for groups[i].
std::unique_ptr<Optimizer> make(std::string_view name, const std::vector<std::vector<Tensor>>& groups,
                                const nlohmann::json& options, const std::vector<nlohmann::json>& overrides);

/// Any of schedule.hpp but LambdaLR and MultiplicativeLR. SequentialLR: {"schedulers": [[name, options],
/// ...], "milestones": [...]}; ChainedScheduler: {"schedulers": [...]}.
std::unique_ptr<LRScheduler> make_schedule(std::string_view name, Optimizer& optimizer,
                                           const nlohmann::json& options);

}  // namespace lucid::optim
