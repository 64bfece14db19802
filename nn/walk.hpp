#pragma once
// The one walk over a tree of modules.

#include <functional>
#include <string>

#include "nn/module.hpp"

namespace lucid::nn {

/// What a walk calls; any may be left out. Names are relative to the root of the walk.
struct WalkCallbacks {
  std::function<void(const std::string& name, Parameter& field)> parameter = {};
  std::function<void(const std::string& name, Buffer& field)> buffer = {};
  std::function<void(const std::string& name, Module& module)> module = {};  ///< parents first, root ""
  bool undefined_too = false;  ///< show parameters and buffers that are undefined
};

/// Visits every field below `root` in order, and tells each module its path.
void walk(Module& root, const WalkCallbacks& callbacks);

}  // namespace lucid::nn
