#pragma once
// What layers share that only apply a function.

#include "nn/module.hpp"

namespace lucid::nn {

/// `struct ReLU : FunctionLayer<&relu> {};` applies `function` to its input and has no options.
template <Tensor (*function)(const Tensor&)>
struct FunctionLayer : Module {
  Tensor operator()(const Tensor& input) const {
    const ErrorScope scope(path());
    return function(input);
  }
};

}  // namespace lucid::nn
