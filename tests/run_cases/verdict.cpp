#include "verdict.hpp"

#include <algorithm>
#include <cmath>

namespace run_cases {

using lucid::str;

void Verdict::compare(const std::string& what, const lucid::Tensor& found, const lucid::Tensor& golden,
                      Tolerance tolerance) {
  ++compared_;
  if (!found.defined()) return fail(what + " is missing");
  if (found.shape() != golden.shape())
    return fail(str(what, " has shape ", found.shape(), ", golden ", golden.shape()));
  const auto a = found.to_vector<double>(), b = golden.to_vector<double>();
  double most = 0, scale = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (std::isfinite(b[i])) scale = std::max(scale, std::abs(b[i]));
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    double difference = std::abs(a[i] - b[i]);
    if (std::isnan(difference)) difference = INFINITY;
    if (difference > most) most = difference, at = i;
  }
  const double reference = tolerance.scale > 0 ? tolerance.scale : scale;
  const bool is_noise = reference < tolerance.absolute;  // of a sum that is zero but for rounding
  const double allowed = is_noise ? tolerance.absolute : tolerance.relative * reference;
  worst_ = std::max(worst_, is_noise ? most : most / reference);
  if (!(most <= allowed))
    fail(str(what, " is off by ", most, " (", allowed, " allowed) at element ", at, ": ", a[at], ", golden ",
             b[at]));
}

void Verdict::compare(const std::string& what, double found, double golden, double allowed) {
  ++compared_;
  const double difference = std::abs(found - golden);
  if (golden != 0) worst_ = std::max(worst_, difference / std::abs(golden));
  if (!(difference <= allowed))
    fail(str(what, " is ", found, ", golden ", golden, " (", allowed, " allowed)"));
}

std::vector<std::string> Verdict::problems() const {
  if (problems_.empty() && compared_ == 0) return {"the case compared nothing"};
  return problems_;
}

}  // namespace run_cases
