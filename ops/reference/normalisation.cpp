// Normalisations: (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance. Elements are
// normalised together whose index has the same key.

#include <cmath>
#include <limits>
#include <map>

#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  std::vector<double> squares;
  for (const double value : values) squares.push_back((value - mean) * (value - mean));
  return mean_of(squares);
}

template <class Key>
std::map<Index, std::vector<double>> grouped(const Array& input, Key&& key) {
  std::map<Index, std::vector<double>> groups;
  for_each_index(input.shape, [&](const Index& index) { groups[key(index)].push_back(input.at(index)); });
  return groups;
}

// The element of `parameter` at key(index); `otherwise` when it is left out.
double at_or(const Array& parameter, const Index& at, double otherwise) {
  return parameter.defined() ? parameter.at(at) : otherwise;
}

// weight and bias are read at place(index).
template <class Key, class Place>
Array normalised(const Array& input, const Array& weight, const Array& bias, double eps, Key&& key,
                 Place&& place) {
  const auto groups = grouped(input, key);
  return generate(input.shape, [&](const Index& index) {
    const std::vector<double>& group = groups.at(key(index));
    return (input.at(index) - mean_of(group)) / std::sqrt(variance_of(group) + eps) *
               at_or(weight, place(index), 1) +
           at_or(bias, place(index), 0);
  });
}

// The leaky_relu that a normalisation over channels may end with.
Arrays leaked(const Array& values, const json& o) {
  const double slope = o["negative_slope"];
  return {map(values, [slope](double x) { return x > 0 ? x : x * slope; })};
}

Index channel(const Index& index) { return {index[1]}; }

// By statistics that are given for each channel.
Array by_running(const Arrays& in, double eps) {
  return generate(in[0].shape, [&](const Index& index) {
    const Index c = channel(index);
    return (in[0].at(index) - in[1].at(c)) / std::sqrt(in[2].at(c) + eps) * at_or(in[3], c, 1) +
           at_or(in[4], c, 0);
  });
}

// in: input, running_mean, running_var, weight, bias
Arrays batch_norm(const Arrays& in, const json& o) {
  if (!o["training"]) return leaked(by_running(in, o["eps"]), o);
  return leaked(normalised(in[0], in[3], in[4], o["eps"], channel, channel), o);
}

Arrays instance_norm(const Arrays& in, const json& o) {
  if (!o["use_input_stats"]) return leaked(by_running(in, o["eps"]), o);
  return leaked(normalised(
                    in[0], in[3], in[4], o["eps"],
                    [](const Index& i) {
                      return Index{i[0], i[1]};
                    },
                    channel),
                o);
}

Arrays group_norm(const Arrays& in, const json& o) {
  const std::int64_t run = in[0].shape[1] / o["num_groups"].get<std::int64_t>();
  return leaked(normalised(
                    in[0], in[1], in[2], o["eps"],
                    [run](const Index& i) {
                      return Index{i[0], i[1] / run};
                    },
                    channel),
                o);
}

// The axes before the last normalized_shape.size(), and these.
struct Split {
  explicit Split(const Array& input, const json& o)
      : leading(static_cast<std::ptrdiff_t>(input.rank() - o["normalized_shape"].size())) {}
  std::ptrdiff_t leading;
  Index front(const Index& index) const { return Index(index.begin(), index.begin() + leading); }
  Index back(const Index& index) const { return Index(index.begin() + leading, index.end()); }
};

Arrays layer_norm(const Arrays& in, const json& o) {
  const Split split(in[0], o);
  return {normalised(
      in[0], in[1], in[2], o["eps"], [&](const Index& i) { return split.front(i); },
      [&](const Index& i) { return split.back(i); })};
}

Arrays rms_norm(const Arrays& in, const json& o) {
  const Split split(in[0], o);
  const double eps = o["eps"].is_null() ? std::numeric_limits<double>::epsilon() : o["eps"].get<double>();
  const auto squares =
      grouped(map(in[0], [](double x) { return x * x; }), [&](const Index& i) { return split.front(i); });
  return {generate(in[0].shape, [&](const Index& index) {
    return in[0].at(index) / std::sqrt(mean_of(squares.at(split.front(index))) + eps) *
           at_or(in[1], split.back(index), 1);
  })};
}

}  // namespace

void define_normalisation(Definitions& d) {
  d["batch_norm"] = batch_norm;
  d["instance_norm"] = instance_norm;
  d["group_norm"] = group_norm;
  d["layer_norm"] = layer_norm;
  d["rms_norm"] = rms_norm;
}

}  // namespace lucid::reference
