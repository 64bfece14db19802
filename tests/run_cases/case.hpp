#pragma once
// One case of a folder, its tensors, and the programs that run the kinds of cases.

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "lucid/tensor.hpp"
#include "verdict.hpp"

namespace run_cases {

using nlohmann::json;
using TensorMap = std::map<std::string, lucid::Tensor>;

struct Case {
  json record;
  std::shared_ptr<const TensorMap> tensors;  // of the group's file; null where the group has none
  lucid::DType dtype;                        // that the case is run in

  /// The record's field; throws lucid::Error naming it when it is missing.
  const json& field(const std::string& key) const;
  std::string id() const { return field("id"); }
  std::string op() const { return field("op"); }
  bool has(const std::string& key) const;
  /// Tensor `<id>/<key>` as stored. Throws lucid::Error when it is missing.
  lucid::Tensor golden(const std::string& key) const;
  /// The same as an input: floating types converted to `dtype`.
  lucid::Tensor input(const std::string& key) const;
  bool is_f32() const { return dtype == lucid::f32; }
  Tolerance tolerance() const { return is_f32() ? Tolerance{4e-6, 1e-12} : Tolerance{1e-9, 1e-12}; }
};

/// {"float": "inf"} and {"dtype": "float64"} replaced by what they stand for, at any depth.
json plain_value(const json& value);
/// Sizes, from a list of integers.
lucid::Shape read_shape(const json& sizes);

void run_convolution(const Case& c, Verdict& verdict);
void run_large(const Case& c, Verdict& verdict);
void run_layer(const Case& c, Verdict& verdict);
void run_optimizer(const Case& c, Verdict& verdict);  // given gradients, quadratic
void run_clip(const Case& c, Verdict& verdict);
void run_schedule(const Case& c, Verdict& verdict);
void run_network(const Case& c, Verdict& verdict);
void run_error(const Case& c, Verdict& verdict);

}  // namespace run_cases
