#include "case.hpp"

#include <limits>

namespace run_cases {

using namespace lucid;

const json& Case::field(const std::string& key) const {
  if (!record.is_object() || !record.contains(key)) raise("run_cases", "the case has no \"", key, "\"");
  return record.at(key);
}

bool Case::has(const std::string& key) const { return tensors && tensors->contains(id() + "/" + key); }

Tensor Case::golden(const std::string& key) const {
  if (!has(key)) raise("run_cases", "tensor ", id(), "/", key, " is not in the group's file");
  return tensors->at(id() + "/" + key);
}

Tensor Case::input(const std::string& key) const {
  const Tensor stored = golden(key);
  return is_floating(stored.dtype()) ? stored.to(dtype) : stored;
}

json plain_value(const json& value) {
  if (value.is_object() && value.size() == 1) {
    if (value.contains("float")) {
      const std::string text = value["float"];
      const double infinity = std::numeric_limits<double>::infinity();
      return text == "inf" ? infinity : text == "-inf" ? -infinity : std::numeric_limits<double>::quiet_NaN();
    }
    if (value.contains("dtype")) return value["dtype"];
  }
  json out = value;
  if (value.is_array() || value.is_object())
    for (auto& element : out) element = plain_value(element);
  return out;
}

Shape read_shape(const json& sizes) { return Shape(sizes.get<std::vector<std::int64_t>>()); }

}  // namespace run_cases
