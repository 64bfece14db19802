#pragma once
// Element types, and how code written once as a template is run for the type a tensor has.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "lucid/error.hpp"

namespace lucid {

enum class DType : std::uint8_t { f32, f64, bf16, i64, i32, u8, boolean };

inline constexpr DType f32 = DType::f32;
inline constexpr DType f64 = DType::f64;
inline constexpr DType bf16 = DType::bf16;
inline constexpr DType i64 = DType::i64;
inline constexpr DType i32 = DType::i32;
inline constexpr DType u8 = DType::u8;
inline constexpr DType boolean = DType::boolean;

/// Brain floating point: the upper half of a float32; converted from float32 by round to nearest even.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  bfloat16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<std::uint16_t>(nan ? (word >> 16) | 0x40u : rounded >> 16);
  }
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// Bytes of one element.
constexpr std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16: return 2;
    default: return 1;
  }
}

constexpr bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16;
}

/// "float32", "float64", "bfloat16", "int64", "int32", "uint8", "bool": PyTorch's names.
std::string_view name(DType dtype);
/// The inverse of name(); also accepts "f32", "f64", "bf16", "i64", "i32", "u8". Throws Error on another
/// text.
DType dtype_from_name(std::string_view text);

/// The type that holds both without loss of category (bool < integers < floating), as PyTorch promotes:
/// i64 with f32 is f32, f32 with f64 is f64, u8 with i32 is i32.
DType promote(DType a, DType b);

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, long long>)
    return DType::i64;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return DType::i32;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return DType::u8;
  else {
    static_assert(std::is_same_v<T, bool>, "no lucid dtype holds this C++ type");
    return DType::boolean;
  }
}

template <class T>
struct TypeTag {
  using type = T;
};

/// Calls f(TypeTag<T>{}) for the C++ type of `dtype`, whichever it is.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(TypeTag<float>{});
    case DType::f64: return f(TypeTag<double>{});
    case DType::bf16: return f(TypeTag<bfloat16>{});
    case DType::i64: return f(TypeTag<std::int64_t>{});
    case DType::i32: return f(TypeTag<std::int32_t>{});
    case DType::u8: return f(TypeTag<std::uint8_t>{});
    default: return f(TypeTag<bool>{});
  }
}

/// As dispatch_all, for float32, float64 and bfloat16; raises "<op>: dtype int64 ..." on another type.
template <class F>
decltype(auto) dispatch_floating(std::string_view op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(TypeTag<float>{});
    case DType::f64: return f(TypeTag<double>{});
    case DType::bf16: return f(TypeTag<bfloat16>{});
    default:
      raise(op, "dtype ", dtype, " is not supported; use a floating type, for example .to(lucid::f32)");
  }
}

/// As dispatch_all without bool; raises on bool.
template <class F>
decltype(auto) dispatch_numeric(std::string_view op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::i64: return f(TypeTag<std::int64_t>{});
    case DType::i32: return f(TypeTag<std::int32_t>{});
    case DType::u8: return f(TypeTag<std::uint8_t>{});
    default: return dispatch_floating(op, dtype, f);
  }
}

/// The type in which sums and products over T are kept: double for every floating type; for integers and bool
/// int64 without its sign, whose overflow wraps around, as PyTorch's does (that of int64 C++ leaves
/// undefined).
template <class T>
using Accumulator =
    std::conditional_t<std::is_floating_point_v<T> || std::is_same_v<T, bfloat16>, double, std::uint64_t>;

/// The type in which one element is computed: float for bfloat16, T itself otherwise.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;

}  // namespace lucid
