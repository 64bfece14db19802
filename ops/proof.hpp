#pragma once
// What an op's record is enough to prove: the same checks for built-in ops and for a user's own.

#include <string>
#include <vector>

#include "ops/registry.hpp"

namespace lucid::ops {

struct ProofOptions {
  std::uint64_t seed = 0;          ///< of the samples, cotangents and integer data
  bool second_derivatives = true;  ///< gradgradcheck too
  int least_samples = 20;          ///< the record's samples are drawn again until there are this many
  int sample = -1;                 ///< prove this sample alone; -1: all
  bool stop_at_failure = false;    ///< enough to know that something is wrong
};

struct ProofFailure {
  std::string check;  ///< "reference", "float32", "exact", "adjoint", "gradcheck", "gradgradcheck", "layout",
                      ///< "empty", "error case", "record"
  int sample = -1;    ///< or the number of the error case
  std::string message;
};

struct Proof {
  int checks = 0;   ///< made, passed or not
  int samples = 0;  ///< that were proven
  std::vector<ProofFailure> failures;
  double worst_float32 = 0;  ///< largest max|f32 - f64| / max|f64| over samples and results
  explicit operator bool() const { return failures.empty() && checks > 0; }
};

/// Checks every sample and error case of `op`:
/// - the results in float64 against the record's definition;
/// - float32 against float64: within 4e-6 of the largest value; to the last bit on integers for an exact op;
/// - the adjoint identity <f(v), u> = <v, f'u> for each input the record calls linear;
/// - gradients and second derivatives against central differences, in float64;
/// - in the first draw of the samples: channels-last, strided and expanded inputs give what plain ones give,
/// results and gradients;
/// - an empty batch works or is refused with an Error;
/// - error cases are refused with a message that names the op and holds the record's text.
Proof prove(const Op& op, ProofOptions options = {});

/// What is wrong with the results of `sample` by the record's definition; "" when they agree. A record
/// without a definition is wrong.
std::string compare_with_reference(const Op& op, const Sample& sample, double tolerance);

/// Copies of `op` that prove() must refuse: the gradient with respect to input `input` is off by the factor
/// 1.01; result `result` is off by the factor 1.01 together with its gradient (by 1 when it is an integer,
/// inverted when it is a bool).
Op with_wrong_gradient(const Op& op, std::size_t input);
Op with_wrong_result(const Op& op, std::size_t result);

/// How many such copies there are of an op, and which of them prove() accepts.
struct MutationReport {
  int gradients = 0, results = 0;      ///< copies made
  std::vector<std::string> survivors;  ///< a line for each that was accepted
  int noticed() const { return gradients + results - static_cast<int>(survivors.size()); }
};
MutationReport mutate(const Op& op);

}  // namespace lucid::ops
