#pragma once
// What one case showed: the worst relative error, and what was wrong.

#include <string>
#include <vector>

#include "lucid/tensor.hpp"

namespace run_cases {

/// How far a result may be from the golden one.
struct Tolerance {
  double relative = 0;  ///< of `scale`, or of max|golden| when scale is 0
  double absolute = 0;  ///< where the golden is zero, or rounding noise below this
  double scale = 0;
};

class Verdict {
 public:
  /// Compares every element; a shape that differs is wrong, a NaN only matches a NaN, an infinity the same
  /// infinity.
  void compare(const std::string& what, const lucid::Tensor& found, const lucid::Tensor& golden,
               Tolerance tolerance);
  void compare(const std::string& what, double found, double golden, double allowed);
  void fail(const std::string& problem) { problems_.push_back(problem); }

  bool passed() const { return problems_.empty() && compared_ > 0; }
  double worst() const { return worst_; }  ///< largest difference / (max|golden| or scale)
  /// What was wrong, or that nothing was compared.
  std::vector<std::string> problems() const;
  /// Counts a check that is no comparison of numbers, such as a refusal.
  void count() { ++compared_; }

 private:
  int compared_ = 0;
  double worst_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace run_cases
