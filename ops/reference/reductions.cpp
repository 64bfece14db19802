// Reductions over axes, running sums, and softmax.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "ops/reference/definitions.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;
using Values = std::vector<double>;

double total(const Values& values) { return std::accumulate(values.begin(), values.end(), 0.0); }
double mean(const Values& values) { return total(values) / static_cast<double>(values.size()); }
double product(const Values& values) {
  return std::accumulate(values.begin(), values.end(), 1.0, std::multiplies<>());
}

// The first of the largest (or smallest) elements; the first NaN, which counts as either, if there is one.
std::size_t position_of_best(const Values& values, bool largest) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i])) return i;
  const auto best = largest ? std::max_element(values.begin(), values.end())
                            : std::min_element(values.begin(), values.end());
  return static_cast<std::size_t>(best - values.begin());
}
double best(const Values& values, bool largest) { return values[position_of_best(values, largest)]; }

// By deviations from the mean, over n - correction; at most all n degrees of freedom can be taken.
double variance(const Values& values, double correction) {
  double sum = 0;
  for (const double x : values) sum += (x - mean(values)) * (x - mean(values));
  return sum / std::max(0.0, static_cast<double>(values.size()) - correction);
}

double correction_of(const json& options) {
  if (!options["correction"].is_null()) return options["correction"];
  return options["unbiased"].is_null() || options["unbiased"] ? 1 : 0;
}

// (sum |x|^p)^(1/p); its limits for p towards +-infinity, and the number of nonzero elements for p = 0.
double vector_norm(const Values& values, double p) {
  Values powers;
  for (const double x : values)
    powers.push_back(std::isinf(p) ? std::fabs(x) : p == 0 ? x != 0 : std::pow(std::fabs(x), p));
  if (std::isinf(p)) return best(powers, p > 0);
  return p == 0 ? total(powers) : std::pow(total(powers), 1 / p);
}

double order_of(const json& p) {
  if (p.is_number()) return p;
  return p == "fro" ? 2 : p == "inf" ? INFINITY : -INFINITY;
}

// log(sum(exp(x))) = m + log(sum(exp(x - m))) for any finite m.
double log_of_summed_exponentials(const Values& values) {
  const double m = values.empty() ? -INFINITY : best(values, true);
  if (!std::isfinite(m)) return m;
  double sum = 0;
  for (const double x : values) sum += std::exp(x - m);
  return m + std::log(sum);
}

Values running_sums(Values values, bool reverse) {
  if (reverse) std::reverse(values.begin(), values.end());
  std::partial_sum(values.begin(), values.end(), values.begin());
  if (reverse) std::reverse(values.begin(), values.end());
  return values;
}

// f(values) over the axes dim, in the type dtype where the op has such an option.
template <class F>
Definition reduction(F f) {
  return [f](const Arrays& in, const json& o) -> Arrays {
    const Array input = converted(in[0], o.value("dtype", json()));
    return {reduce(input, axes_of(o["dim"], in[0].rank()), o["keepdim"],
                   [&](const Values& values) { return f(values, o); })};
  };
}
Definition plain_reduction(double (*f)(const Values&)) {
  return reduction([f](const Values& values, const json&) { return f(values); });
}

Definition position(bool largest) {
  return reduction([largest](const Values& values, const json&) {
    return static_cast<double>(position_of_best(values, largest));
  });
}

// The value, and its position too along a single dim.
Definition value_and_position(bool largest) {
  return [largest](const Arrays& in, const json& o) -> Arrays {
    const Definition value =
        reduction([largest](const Values& values, const json&) { return best(values, largest); });
    Arrays out = value(in, o);
    if (!o["dim"].is_null()) out.push_back(position(largest)(in, o)[0]);
    return out;
  };
}

// f(log of softmax) of every element.
Definition softmax_like(double (*f)(double)) {
  return [f](const Arrays& in, const json& o) -> Arrays {
    const std::size_t axis = axis_of(o["dim"], in[0].rank());
    const std::int64_t size = in[0].rank() == 0 ? 1 : in[0].shape[axis];
    return {along(converted(in[0], o["dtype"]), axis, size, [f](Values values) {
      const double normaliser = log_of_summed_exponentials(values);
      for (double& x : values) x = f(x - normaliser);
      return values;
    })};
  };
}

// Adds every element to the one that it was broadcast from.
Array sum_to(const Array& input, const Shape& shape) {
  Array out(shape);
  for_each_index(input.shape, [&](const Index& index) {
    Index target(index.end() - static_cast<std::ptrdiff_t>(shape.size()), index.end());
    for (std::size_t i = 0; i < target.size(); ++i)
      if (shape[i] == 1) target[i] = 0;
    out.at(target) += input.at(index);
  });
  return out;
}

}  // namespace

void define_reductions(Definitions& d) {
  d["sum"] = plain_reduction(total);
  d["mean"] = plain_reduction(mean);
  d["prod"] = plain_reduction(product);
  d["any"] = reduction([](const Values& values, const json&) {
    return std::any_of(values.begin(), values.end(), [](double x) { return x != 0; });
  });
  d["all"] = reduction([](const Values& values, const json&) {
    return std::all_of(values.begin(), values.end(), [](double x) { return x != 0; });
  });
  d["amax"] = reduction([](const Values& values, const json&) { return best(values, true); });
  d["amin"] = reduction([](const Values& values, const json&) { return best(values, false); });
  d["argmax"] = position(true);
  d["argmin"] = position(false);
  d["max"] = value_and_position(true);
  d["min"] = value_and_position(false);
  d["var"] =
      reduction([](const Values& values, const json& o) { return variance(values, correction_of(o)); });
  d["std"] = reduction(
      [](const Values& values, const json& o) { return std::sqrt(variance(values, correction_of(o))); });
  d["norm"] =
      reduction([](const Values& values, const json& o) { return vector_norm(values, order_of(o["p"])); });
  d["logsumexp"] = plain_reduction(log_of_summed_exponentials);
  d["cumsum"] = [](const Arrays& in, const json& o) -> Arrays {
    const std::size_t axis = axis_of(o["dim"], in[0].rank());
    const std::int64_t size = in[0].rank() == 0 ? 1 : in[0].shape[axis];
    return {along(converted(in[0], o["dtype"]), axis, size,
                  [reverse = o["reverse"].get<bool>()](const Values& values) {
                    return running_sums(values, reverse);
                  })};
  };
  d["sum_to"] = [](const Arrays& in, const json& o) -> Arrays {
    return {sum_to(in[0], integers_of(o["shape"]))};
  };
  d["softmax"] = softmax_like([](double x) { return std::exp(x); });
  d["log_softmax"] = softmax_like([](double x) { return x; });
}

}  // namespace lucid::reference
