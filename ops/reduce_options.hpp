#pragma once
// What the records and rules of reductions share.

#include <nlohmann/json_fwd.hpp>

#include "ops/kernels/reduce.hpp"
#include "ops/registry.hpp"

namespace lucid::ops {

/// Reduced axes as an option: null (all), an integer, or an array of integers.
struct DimOption {
  std::vector<std::int64_t> dims;
};
void write_option(nlohmann::json& out, const char* key, const DimOption& option);
void read_option(const nlohmann::json& in, const char* key, DimOption& option);

/// The axes to reduce, once the arguments are checked: `input` is defined, the axes exist and differ.
kernels::Axes reduced_axes(std::string_view op, const Tensor& input, const std::vector<std::int64_t>& dims);

/// As reduced_axes, and refuses to reduce an axis of size 0, over which the result would have no value.
kernels::Axes nonempty_axes(std::string_view op, const Tensor& input, const std::vector<std::int64_t>& dims);

/// A recorded view or copy of `reduced`, the result of reducing a tensor of `shape`, in its keepdim shape.
Tensor with_kept_dims(const Tensor& reduced, const Shape& shape, const std::vector<std::int64_t>& dims,
                      bool keepdim);

/// The same, repeated to `shape`: the adjoint of the sum.
Tensor expand_reduced(const Tensor& reduced, const Shape& shape, const std::vector<std::int64_t>& dims,
                      bool keepdim);

/// Calls of floats over one axis, several, all, kept and dropped ones; of rank 0, 1, 3 and 5.
std::vector<Sample> reduction_samples(Generator& generator);
/// The same calls with values that are all different, by at least 0.01 within an input.
std::vector<Sample> distinct(std::vector<Sample> samples);
/// Integers and bools, over everything and along one axis: many equal values. They have no gradient.
std::vector<Sample> integer_samples(Generator& generator);
/// `samples` and then `more`.
std::vector<Sample> joined(std::vector<Sample> samples, std::vector<Sample> more);
/// An axis out of range and one given twice.
std::vector<ErrorCase> reduction_errors();

}  // namespace lucid::ops
