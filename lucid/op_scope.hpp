#pragma once
// For an op that is made of others: whose part they are.

#include <string>
#include <string_view>

#include "lucid/error.hpp"

namespace lucid {

/// While alive, errors raised on this thread name `op` after the layer's path, if there is one:
/// "dice_loss (criterion, dice_ce_loss): ...".
class OpScope {
 public:
  explicit OpScope(std::string_view op);

 private:
  std::string text_;
  ErrorScope scope_;  // refers to text_
};

}  // namespace lucid
