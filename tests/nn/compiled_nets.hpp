#pragma once
// What the tests of compiled nets share.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lucid/random.hpp"
#include "nn/nn.hpp"
#include "ops/arithmetic.hpp"

namespace lucid::compiled {

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t out = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++out;
  return out;
}
inline bool contains(const std::string& text, const std::string& part) { return count(text, part) > 0; }

// A net written as a function; its parameters are for the function to use.
struct Written : nn::Module {
  explicit Written(std::function<Tensor(const Tensor&)> given, std::vector<Shape> shapes = {})
      : forward(std::move(given)) {
    for (const Shape& shape : shapes) weights.emplace_back(randn(shape) * 0.3);
    eval();
  }
  Tensor operator()(const Tensor& x) const { return forward(x); }
  std::function<Tensor(const Tensor&)> forward;
  std::vector<nn::Parameter> weights;
  LUCID_FIELDS(weights)
};

}  // namespace lucid::compiled
