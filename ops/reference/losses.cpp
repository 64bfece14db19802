// Losses of single elements, of classes, and of vectors, by PyTorch's documentation of each.

#include <algorithm>
#include <cmath>

#include "ops/reference/definitions.hpp"
#include "ops/reference/loss.hpp"

namespace lucid::reference {

using nlohmann::json;

Array reduced(const Array& losses, const std::string& reduction) {
  if (reduction == "none") return losses;
  double sum = 0;
  for (const double loss : losses.values) sum += loss;
  return Array({}, reduction == "mean" ? sum / static_cast<double>(losses.size()) : sum);
}

Array softmax(const Array& input, std::size_t axis) {
  const Array exponentials = map(input, [](double x) { return std::exp(x); });
  const Array sums = reduce(exponentials, {axis}, true, [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  });
  return zip(exponentials, sums, [](double value, double sum) { return value / sum; });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

namespace {

// A loss of the two elements input and target.
template <class F>
Definition of_pairs(F f) {
  return [f](const Arrays& in, const json& o) -> Arrays {
    return {reduced(zip(in[0], in[1], [&](double x, double t) { return f(x, t, o); }), o["reduction"])};
  };
}

double smooth_l1(double x, double t, const json& o) {
  const double d = std::fabs(x - t), beta = o["beta"];
  return d < beta ? d * d / (2 * beta) : d - beta / 2;
}

double huber(double x, double t, const json& o) {
  const double d = std::fabs(x - t), delta = o["delta"];
  return d <= delta ? d * d / 2 : delta * (d - delta / 2);
}

double kl(double x, double t, const json& o) {
  if (o["log_target"]) return std::exp(t) * (t - x);
  return t == 0 ? 0 : t * (std::log(t) - x);
}

Arrays kl_div(const Arrays& in, const json& o) {
  const Array losses = zip(in[0], in[1], [&](double x, double t) { return kl(x, t, o); });
  if (o["reduction"] != "batchmean") return {reduced(losses, o["reduction"])};
  const double samples = losses.rank() == 0 ? 1 : static_cast<double>(losses.shape[0]);
  return {map(reduced(losses, "sum"), [&](double sum) { return sum / samples; })};
}

double at_or_one(const Array& factor, const Index& index) {
  return factor.defined() ? factor.broadcast_at(index) : 1;
}

// in: input, target, weight. No logarithm counts as less than -100.
Arrays binary_cross_entropy(const Arrays& in, const json& o) {
  const auto bounded_log = [](double x) { return std::max(std::log(x), -100.0); };
  return {reduced(generate(in[0].shape,
                           [&](const Index& i) {
                             const double x = in[0].at(i), t = in[1].at(i);
                             return -at_or_one(in[2], i) *
                                    (t * bounded_log(x) + (1 - t) * bounded_log(1 - x));
                           }),
                  o["reduction"])};
}

// in: input, target, weight, pos_weight
Arrays binary_cross_entropy_with_logits(const Arrays& in, const json& o) {
  return {reduced(generate(in[0].shape,
                           [&](const Index& i) {
                             const double x = in[0].at(i), t = in[1].at(i);
                             return -at_or_one(in[2], i) * (at_or_one(in[3], i) * t * std::log(sigmoid(x)) +
                                                            (1 - t) * std::log(sigmoid(-x)));
                           }),
                  o["reduction"])};
}

// What a loss over classes adds up at one position: losses, and the weight by which the mean divides.
struct ClassTerm {
  double loss = 0, weight = 0;
};

// in: input (N, C, ...) or (C), target, weight (C); `logs` are the log-probabilities. `position` is an index
// without the class axis.
ClassTerm class_term(const Arrays& in, const Array& logs, const Index& position, const json& o) {
  const std::ptrdiff_t axis = logs.rank() == 1 ? 0 : 1;
  const std::int64_t classes = logs.shape[static_cast<std::size_t>(axis)];
  const bool probabilities = in[1].shape == in[0].shape;
  const double smoothing = o.value("label_smoothing", 0.0);
  if (!probabilities && in[1].at(position) == o["ignore_index"].get<double>()) return {};
  ClassTerm term;
  for (std::int64_t c = 0; c < classes; ++c) {
    Index index = position;
    index.insert(index.begin() + axis, c);
    const double hot = probabilities ? in[1].at(index) : in[1].at(position) == static_cast<double>(c);
    const double weight = in[2].defined() ? in[2].at({c}) : 1;
    term.loss -= weight * ((1 - smoothing) * hot + smoothing / static_cast<double>(classes)) * logs.at(index);
    term.weight += probabilities ? 1 / static_cast<double>(classes) : weight * hot;
  }
  return term;
}

Arrays class_loss(const Arrays& in, const Array& logs, const json& o) {
  Shape positions = logs.shape;
  positions.erase(logs.rank() == 1 ? 0 : 1);
  Array losses(positions);
  ClassTerm sum;
  for_each_index(positions, [&](const Index& position) {
    const ClassTerm term = class_term(in, logs, position, o);
    losses.at(position) = term.loss;
    sum.loss += term.loss;
    sum.weight += term.weight;
  });
  if (o["reduction"] == "none") return {losses};
  // Where nothing counts the mean is 0 here, NaN in PyTorch.
  const bool mean = o["reduction"] == "mean";
  return {Array({}, !mean ? sum.loss : sum.weight == 0 ? 0 : sum.loss / sum.weight)};
}

double norm_at_least(const std::vector<double>& vector, double least) {
  double square = 0;
  for (const double x : vector) square += x * x;
  return std::max(std::sqrt(square), least);
}

Array cosine(const Array& a, const Array& b, std::int64_t dim, double eps) {
  const Shape shape = broadcast_shapes("reference", a.shape, b.shape);
  const std::size_t axis = axis_of(dim, shape.size());
  Shape result = shape;
  result.erase(axis);
  return generate(result, [&](Index index) {
    std::vector<double> left, right;
    index.insert(index.begin() + static_cast<std::ptrdiff_t>(axis), 0);
    for (; index[axis] < shape[axis]; ++index[axis]) {
      left.push_back(a.broadcast_at(index));
      right.push_back(b.broadcast_at(index));
    }
    double product = 0;
    for (std::size_t i = 0; i < left.size(); ++i) product += left[i] * right[i];
    return product / (norm_at_least(left, eps) * norm_at_least(right, eps));
  });
}

// in: input1, input2, target of 1 and -1
Arrays cosine_embedding_loss(const Arrays& in, const json& o) {
  const double margin = o["margin"];
  const Array losses = zip(cosine(in[0], in[1], -1, 1e-6), in[2], [&](double cos, double target) {
    return target == 1 ? 1 - cos : std::max(0.0, cos - margin);
  });
  return {reduced(losses, o["reduction"])};
}

}  // namespace

Arrays cross_entropy(const Arrays& in, const json& o) {
  const Array probabilities = softmax(in[0], in[0].rank() == 1 ? 0 : 1);
  return class_loss(in, map(probabilities, [](double p) { return std::log(p); }), o);
}

void define_losses(Definitions& d) {
  d["mse_loss"] = of_pairs([](double x, double t, const json&) { return (x - t) * (x - t); });
  d["l1_loss"] = of_pairs([](double x, double t, const json&) { return std::fabs(x - t); });
  d["smooth_l1_loss"] = of_pairs(smooth_l1);
  d["huber_loss"] = of_pairs(huber);
  d["kl_div"] = kl_div;
  d["binary_cross_entropy"] = binary_cross_entropy;
  d["binary_cross_entropy_with_logits"] = binary_cross_entropy_with_logits;
  d["cross_entropy"] = cross_entropy;
  d["nll_loss"] = [](const Arrays& in, const json& o) -> Arrays { return class_loss(in, in[0], o); };
  d["cosine_similarity"] = [](const Arrays& in, const json& o) -> Arrays {
    return {cosine(in[0], in[1], o["dim"], o["eps"])};
  };
  d["cosine_embedding_loss"] = cosine_embedding_loss;
}

}  // namespace lucid::reference
