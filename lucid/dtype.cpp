#include "lucid/dtype.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lucid {

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::f64: return "float64";
    case DType::bf16: return "bfloat16";
    case DType::i64: return "int64";
    case DType::i32: return "int32";
    case DType::u8: return "uint8";
    default: return "bool";
  }
}

DType dtype_from_name(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, DType>, 13> names{{{"float32", f32},
                                                                             {"float64", f64},
                                                                             {"bfloat16", bf16},
                                                                             {"int64", i64},
                                                                             {"int32", i32},
                                                                             {"uint8", u8},
                                                                             {"bool", boolean},
                                                                             {"f32", f32},
                                                                             {"f64", f64},
                                                                             {"bf16", bf16},
                                                                             {"i64", i64},
                                                                             {"i32", i32},
                                                                             {"u8", u8}}};
  for (const auto& [known, dtype] : names)
    if (known == text) return dtype;
  raise("dtype", "\"", text,
        "\" is not a dtype; known are float32, float64, bfloat16, int64, int32, uint8, bool");
}

namespace detail {
void append(std::string& out, DType value) { out += name(value); }
}  // namespace detail

DType promote(DType a, DType b) {
  // Position in this list is the rank: the later of two holds both, except that bf16 with f32 is f32.
  static constexpr std::array order{boolean, u8, i32, i64, bf16, f32, f64};
  const auto rank = [](DType t) { return std::find(order.begin(), order.end(), t) - order.begin(); };
  return order[static_cast<std::size_t>(std::max(rank(a), rank(b)))];
}

}  // namespace lucid
