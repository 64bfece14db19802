#pragma once
// Learning-rate lambdas, which the cases spell out in Python's notation: "s/8 if s<8 else
// 0.5*(1+cos(pi*s/42))".

#include <cstdint>
#include <functional>
#include <string>

namespace run_cases {

/// The function of the one variable, of whatever name, that `text` holds. Numbers, + - * / // % ** (and ^ for
/// **), comparisons, and, or, not, "a if c else b", pi, e and the usual functions are known. Throws
/// lucid::Error naming the place where `text` is something else.
std::function<double(std::int64_t)> parse_lambda(const std::string& text);

}  // namespace run_cases
