#include "ops/proof.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/backward.hpp"
#include "autograd/gradcheck.hpp"
#include "ops/proof_inputs.hpp"

namespace lucid::ops {
namespace {

constexpr double kFloat32Tolerance = 4e-6;  // of the largest value: what a float32 sum in any order reaches
constexpr double kReferenceTolerance = 1e-12;
constexpr double kLayoutTolerance = 1e-12;
constexpr double kAdjointTolerance = 1e-11;

// max|a - b| / max|b|; a NaN in both places is agreement, in one of them infinite disagreement.
double relative_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if ((std::isnan(x[i]) && std::isnan(y[i])) || x[i] == y[i]) {
      if (std::isfinite(y[i])) scale = std::max(scale, std::abs(y[i]));
      continue;
    }
    const double difference = std::abs(x[i] - y[i]);
    if (!std::isfinite(difference)) return INFINITY;
    most = std::max(most, difference);
    scale = std::max(scale, std::abs(y[i]));
  }
  return most == 0 ? 0 : most / (scale == 0 ? 1 : scale);
}

class Prover {
 public:
  Prover(const Op& op, ProofOptions options) : op_(op), options_(options) {}
  Proof run();

 private:
  void record();
  void sample(const Sample& sample, bool thorough);
  void reference(const Sample& sample);
  void float32(const Sample& sample);
  void exact(const Sample& sample);
  void adjoint(const Sample& sample, std::size_t input);
  void gradients(const Sample& sample);
  void layouts(const Sample& sample);
  void empty(const Sample& sample);
  void error_case(const ErrorCase& error);
  void compare_layout(const Sample& plain, const Tensors& other, std::string_view name);

  /// Makes one check: `make` returns an empty text, or what is wrong. An exception is wrong too.
  template <class F>
  void check_that(const char* name, F&& make) {
    if (is_done()) return;
    ++proof_.checks;
    std::string message;
    try {
      message = make();
    } catch (const std::exception& error) {
      message = str("threw: ", error.what());
    }
    if (!message.empty()) proof_.failures.push_back({name, current_, message});
  }

  bool is_done() const { return options_.stop_at_failure && !proof_.failures.empty(); }
  Tensors call(const Sample& sample) const { return op_.call(sample.inputs, sample.options); }
  Tensors call(const Tensors& inputs, const Sample& sample) const { return op_.call(inputs, sample.options); }
  bool has_gradient(const Sample& sample) const {
    return op_.differentiable && std::any_of(sample.inputs.begin(), sample.inputs.end(), is_real);
  }

  const Op& op_;
  ProofOptions options_;
  Proof proof_;
  int current_ = -1;
};

void Prover::record() {
  check_that("record", [&]() -> std::string {
    if (op_.doc.empty()) return "the record has no doc line";
    if (!op_.samples) return "the record has no samples";
    if (!op_.errors) return "the record has no error cases (give ops::no_errors if nothing is refused)";
    return "";
  });
}

void Prover::reference(const Sample& sample) {
  check_that("reference", [&] { return compare_with_reference(op_, sample, kReferenceTolerance); });
}

void Prover::float32(const Sample& sample) {
  check_that("float32", [&]() -> std::string {
    const Tensors wide = call(sample), narrow = call(as_type(sample.inputs, f32), sample);
    if (wide.size() != narrow.size()) return "the number of results depends on the type";
    for (std::size_t i = 0; i < wide.size(); ++i) {
      if (wide[i].shape() != narrow[i].shape()) return "the shape of a result depends on the type";
      // The float64 result of the float32 inputs, so that only the arithmetic is judged.
      const double difference =
          relative_difference(narrow[i], call(as_type(as_type(sample.inputs, f32), f64), sample)[i]);
      proof_.worst_float32 = std::max(proof_.worst_float32, difference);
      if (!(difference <= kFloat32Tolerance))
        return str("result ", i, " is off by ", difference, " of its largest value");
    }
    return "";
  });
}

void Prover::exact(const Sample& sample) {
  check_that("exact", [&]() -> std::string {
    const Tensors inputs = as_integers(sample.inputs, options_.seed);
    const std::string wrong = compare_with_reference(op_, {inputs, sample.options}, 0);
    if (!wrong.empty()) return "on small integers: " + wrong;
    const Tensors wide = call(inputs, sample), narrow = call(as_type(inputs, f32), sample);
    for (std::size_t i = 0; i < wide.size(); ++i)
      if (wide[i].to_vector<double>() != narrow[i].to_vector<double>())
        return str("result ", i, " differs between float32 and float64 on small integers");
    return "";
  });
}

// f is linear in the input up to a constant: f(v) - f(0).
void Prover::adjoint(const Sample& sample, std::size_t input) {
  if (!is_real(sample.inputs[input])) return;
  check_that("adjoint", [&]() -> std::string {
    Generator generator(options_.seed + 17);
    Tensors inputs = plain(sample.inputs);
    const Tensor v = randn(inputs[input].shape(), f64, &generator);
    const auto at = [&](const Tensor& value) {
      Tensors given = inputs;
      given[input] = value;
      return call(given, sample)[0];
    };
    const Tensor leaf = v.clone().requires_grad_();
    const Tensor y = at(leaf);
    const Tensor u = randn(y.shape(), f64, &generator);
    const Tensor gradient = autograd::grad({y}, {leaf}, {u}, {.allow_unused = true})[0];
    const auto value = y.detach().to_vector<double>(), zero = at(zeros(v.shape(), f64)).to_vector<double>(),
               cotangent = u.to_vector<double>(), direction = v.to_vector<double>();
    const auto pulled =
        gradient.defined() ? gradient.to_vector<double>() : std::vector<double>(direction.size());
    double left = 0, right = 0, scale = 1e-30;
    for (std::size_t i = 0; i < value.size(); ++i) {
      left += (value[i] - zero[i]) * cotangent[i];
      scale += std::abs((value[i] - zero[i]) * cotangent[i]);
    }
    for (std::size_t i = 0; i < direction.size(); ++i) right += direction[i] * pulled[i];
    if (!(std::abs(left - right) <= kAdjointTolerance * scale))
      return str("input ", input, ": <f(v), u> = ", left, " but <v, f'u> = ", right);
    return "";
  });
}

void Prover::gradients(const Sample& sample) {
  const autograd::Function function = [&](const Tensors& inputs) { return call(inputs, sample); };
  const Tensors inputs = as_leaves(sample.inputs);
  check_that("gradcheck",
             [&] { return autograd::gradcheck(function, inputs, {.seed = options_.seed}).message; });
  if (!options_.second_derivatives) return;
  // The numeric side differentiates an analytic gradient once, so the same step serves.
  check_that("gradgradcheck", [&] {
    return autograd::gradgradcheck(function, inputs, {.atol = 1e-5, .seed = options_.seed}).message;
  });
}

// Same values in other memory must give the same results and gradients.
void Prover::compare_layout(const Sample& sample, const Tensors& other, std::string_view name) {
  check_that("layout", [&]() -> std::string {
    const auto evaluate = [&](const Tensors& given) {
      Tensors results = call(given, sample), gradients;
      if (!has_gradient(sample)) return std::pair(results, gradients);
      Generator generator(options_.seed + 5);
      Tensors roots, seeds, wanted;
      for (const Tensor& result : results) {
        if (!result.requires_grad()) continue;
        roots.push_back(result);
        seeds.push_back(randn(result.shape(), result.dtype(), &generator));
      }
      for (const Tensor& input : given)
        if (input.defined() && input.requires_grad()) wanted.push_back(input);
      if (!roots.empty()) gradients = autograd::grad(roots, wanted, seeds, {.allow_unused = true});
      return std::pair(results, gradients);
    };
    const auto [expected, expected_gradients] = evaluate(as_leaves(plain(sample.inputs)));
    const auto [found, found_gradients] = evaluate(as_leaves(other));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (found[i].shape() != expected[i].shape()) return str(name, ": result ", i, " has another shape");
      if (!(relative_difference(found[i], expected[i]) <= kLayoutTolerance))
        return str(name, ": result ", i, " differs");
    }
    for (std::size_t i = 0; i < expected_gradients.size(); ++i) {
      if (found_gradients[i].defined() != expected_gradients[i].defined())
        return str(name, ": gradient ", i, " is missing");
      if (!found_gradients[i].defined()) continue;
      if (!(relative_difference(found_gradients[i], expected_gradients[i]) <= kLayoutTolerance))
        return str(name, ": gradient ", i, " differs");
    }
    return "";
  });
}

void Prover::layouts(const Sample& sample) {
  compare_layout(sample, in_layout(sample.inputs, channels_last_copy), "channels-last");
  compare_layout(sample, in_layout(sample.inputs, sliced_channels_copy), "some channels");
  compare_layout(sample, in_layout(sample.inputs, strided_copy), "sliced with steps");
  compare_layout(sample, in_layout(sample.inputs, transposed_copy), "transposed");
  Sample equal = sample;  // expanded memory can only hold values that repeat
  equal.inputs = in_layout(sample.inputs, repeat_first);
  compare_layout(equal, in_layout(equal.inputs, expanded_copy), "expanded");
}

// Some ops refuse an empty batch; none may crash or make up values.
void Prover::empty(const Sample& sample) {
  if (sample.inputs.empty() || !sample.inputs[0].defined() || sample.inputs[0].dim() < 2) return;
  check_that("empty", [&]() -> std::string {
    Sample none = sample;
    Shape shape = sample.inputs[0].shape();
    shape[0] = 0;
    none.inputs[0] = lucid::empty(shape, sample.inputs[0].dtype());
    try {
      for (const Tensor& result : call(none)) result.to_vector<double>();
    } catch (const Error&) {
    }
    return "";
  });
}

void Prover::error_case(const ErrorCase& error) {
  check_that("error case", [&]() -> std::string {
    try {
      const Op& op = op_;
      for (std::size_t i = 0; i < op.inputs.size() && !op.inputs[i].repeated; ++i)
        check(op.inputs[i].optional || (i < error.inputs.size() && error.inputs[i].defined()), op.name,
              "input \"", op.inputs[i].name, "\" is missing");
      Tensors inputs = error.inputs;
      if (op.inputs.empty() || !op.inputs.back().repeated) inputs.resize(op.inputs.size());
      op.call(inputs, error.options);
    } catch (const Error& thrown) {
      const std::string text = thrown.what();
      if (text.find(op_.name) == std::string::npos) return "the message does not name the op: " + text;
      if (text.find(error.message) == std::string::npos)
        return "the message lacks \"" + error.message + "\": " + text;
      return "";
    }
    return "accepted; must be refused with \"" + error.message + "\"";
  });
}

// `thorough`: what depends on the code path alone too.
void Prover::sample(const Sample& given, bool thorough) {
  Sample sample = given;
  if (!op_.inputs.empty() && !op_.inputs.back().repeated) sample.inputs.resize(op_.inputs.size());
  ++proof_.samples;
  reference(sample);
  float32(sample);
  if (op_.exact_on_integers) exact(sample);
  for (const std::size_t input : op_.linear_in)
    if (input < sample.inputs.size()) adjoint(sample, input);
  if (has_gradient(sample)) gradients(sample);
  if (!thorough) return;
  layouts(sample);
  empty(sample);
}

Proof Prover::run() {
  record();
  if (!proof_.failures.empty()) return proof_;
  Generator generator(options_.seed);
  auto samples = op_.samples(generator);
  check_that("record", [&] { return std::string(samples.empty() ? "the record gives no sample" : ""); });
  if (samples.empty()) return proof_;
  const auto drawn = static_cast<int>(samples.size());
  while (static_cast<int>(samples.size()) < options_.least_samples)
    for (Sample& again : op_.samples(generator)) samples.push_back(std::move(again));
  for (current_ = 0; current_ < static_cast<int>(samples.size()) && !is_done(); ++current_)
    if (options_.sample < 0 || options_.sample == current_)
      sample(samples[static_cast<std::size_t>(current_)], current_ < drawn);
  const auto errors = op_.errors();
  for (current_ = 0; current_ < static_cast<int>(errors.size()) && !is_done(); ++current_)
    if (options_.sample < 0) error_case(errors[static_cast<std::size_t>(current_)]);
  return proof_;
}

}  // namespace

Proof prove(const Op& op, ProofOptions options) { return Prover(op, options).run(); }

}  // namespace lucid::ops
