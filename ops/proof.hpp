#pragma once
// What an op's record is enough to prove: the same checks for built-in ops and for a user's own.

#include <string>
#include <vector>

#include "ops/registry.hpp"

namespace lucid::ops {

struct ProofOptions {
  std::uint64_t seed = 0;          ///< of the samples, cotangents and integer data
  bool second_derivatives = true;  ///< gradgradcheck too
  int sample = -1;                 ///< prove this sample alone; -1: all
};

struct ProofFailure {
  std::string check;  ///< "float32", "exact", "adjoint", "gradcheck", "gradgradcheck", "layout", "empty",
                      ///< "error case", "record"
  int sample = -1;    ///< or the number of the error case
  std::string message;
};

struct Proof {
  int checks = 0;  ///< made, passed or not
  std::vector<ProofFailure> failures;
  double worst_float32 = 0;  ///< largest max|f32 - f64| / max|f64| over samples and results
  explicit operator bool() const { return failures.empty() && checks > 0; }
};

/// Checks every sample and error case of `op`:
/// - float32 against float64: within 4e-6 of the largest value; to the last bit on integers for an exact op;
/// - the adjoint identity <f(v), u> = <v, f'u> for each input the record calls linear;
/// - gradients and second derivatives against central differences, in float64;
/// - channels-last, strided and expanded inputs give what plain ones give, results and gradients;
/// - an empty batch works or is refused with an Error;
/// - error cases are refused with a message that names the op and holds the record's text.
Proof prove(const Op& op, ProofOptions options = {});

/// A copy of `op` whose gradient with respect to input `input` is off by the factor 1.01: prove() must refuse
/// it.
Op with_wrong_gradient(const Op& op, std::size_t input);

}  // namespace lucid::ops
