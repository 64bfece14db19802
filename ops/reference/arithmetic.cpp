// Elementwise ops of two and three operands.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

template <class F>
Definition of_two(F f) {
  return [f](const Arrays& in, const json&) -> Arrays { return {zip(in[0], in[1], f)}; };
}

// The bound given as a tensor or as a number, or none: `otherwise`.
Array bound(const Array& tensor, const json& number, double otherwise) {
  return tensor.defined() ? tensor : Array({}, number.is_null() ? otherwise : number.get<double>());
}

// input (N, C, ...) with one weight, or one for each channel.
double prelu_at(const Array& input, const Array& weight, const Index& index) {
  const double x = input.at(index);
  const auto channel = weight.size() == 1 ? 0 : static_cast<std::size_t>(index[1]);
  return x > 0 ? x : x * weight.values[channel];
}

void define_comparisons(Definitions& d) {
  d["eq"] = of_two([](double a, double b) { return a == b; });
  d["ne"] = of_two([](double a, double b) { return a != b; });
  d["lt"] = of_two([](double a, double b) { return a < b; });
  d["le"] = of_two([](double a, double b) { return a <= b; });
  d["gt"] = of_two([](double a, double b) { return a > b; });
  d["ge"] = of_two([](double a, double b) { return a >= b; });
  d["logical_and"] = of_two([](double a, double b) { return a != 0 && b != 0; });
  d["logical_or"] = of_two([](double a, double b) { return a != 0 || b != 0; });
  d["logical_xor"] = of_two([](double a, double b) { return (a != 0) != (b != 0); });
}

}  // namespace

void define_arithmetic(Definitions& d) {
  define_comparisons(d);
  d["add"] = [](const Arrays& in, const json& o) -> Arrays {
    return {
        zip(in[0], in[1], [alpha = o["alpha"].get<double>()](double a, double b) { return a + alpha * b; })};
  };
  d["sub"] = [](const Arrays& in, const json& o) -> Arrays {
    return {
        zip(in[0], in[1], [alpha = o["alpha"].get<double>()](double a, double b) { return a - alpha * b; })};
  };
  d["mul"] = of_two([](double a, double b) { return a * b; });
  d["div"] = [](const Arrays& in, const json& o) -> Arrays {
    const json& mode = o["rounding_mode"];
    return {zip(in[0], in[1], [&](double a, double b) {
      return mode.is_null() ? a / b : mode == "floor" ? std::floor(a / b) : std::trunc(a / b);
    })};
  };
  d["maximum"] = of_two([](double a, double b) { return a < b ? b : a; });
  d["minimum"] = of_two([](double a, double b) { return b < a ? b : a; });
  d["pow"] = [](const Arrays& in, const json& o) -> Arrays {
    const Array exponent = in[1].defined()   ? in[1]
                           : in[2].defined() ? in[2]
                                             : Array({}, o["exponent"].get<double>());
    return {zip(in[0], exponent, [](double a, double b) { return std::pow(a, b); })};
  };
  d["clamp"] = [](const Arrays& in, const json& o) -> Arrays {
    const Array raised =
        zip(in[0], bound(in[1], o["min"], -INFINITY), [](double a, double b) { return std::max(a, b); });
    return {zip(raised, bound(in[2], o["max"], INFINITY), [](double a, double b) { return std::min(a, b); })};
  };
  d["where"] = [](const Arrays& in, const json&) -> Arrays {
    const Shape shape =
        broadcast_shapes("reference", broadcast_shapes("reference", in[0].shape, in[1].shape), in[2].shape);
    return {generate(shape,
                     [&](const Index& i) { return in[in[0].broadcast_at(i) != 0 ? 1 : 2].broadcast_at(i); })};
  };
  d["masked_fill"] = [](const Arrays& in, const json& o) -> Arrays {
    return {zip(in[0], in[1],
                [value = o["value"].get<double>()](double a, double mask) { return mask != 0 ? value : a; })};
  };
  d["prelu"] = [](const Arrays& in, const json&) -> Arrays {
    return {generate(in[0].shape, [&](const Index& i) { return prelu_at(in[0], in[1], i); })};
  };
}

}  // namespace lucid::reference
