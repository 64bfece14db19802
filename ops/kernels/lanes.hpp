#pragma once
// Some numbers at a time in vector registers, where a compiler would keep an array of accumulators in memory.
// For kernels that are templates over the width of a register (lucid/cpu.hpp). Values go by reference, since
// how a register is passed depends on the function's target.

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lucid/cpu.hpp"
#include "lucid/dtype.hpp"

namespace lucid::kernels {

template <class T, int N>
struct VectorOf {
  typedef T Type __attribute__((vector_size(N * sizeof(T))));
};

/// N numbers in registers of Bytes.
template <class T, int Bytes, int N>
struct Lanes {
  static constexpr int kIn = Bytes / static_cast<int>(sizeof(T)), kParts = N / kIn;
  static_assert(kParts * kIn == N);
  using Register = typename VectorOf<T, kIn>::Type;

  Register part[kParts] = {};

  /// From elements of T, or float or bfloat16 widened to T.
  template <class From>
  [[gnu::always_inline]] void load(const From* from) {
    for (int i = 0; i < kParts; ++i) load_part(part[i], from + i * kIn);
  }
  [[gnu::always_inline]] void store(T* to) const { std::memcpy(to, part, sizeof(part)); }
  /// to[i] += each
  [[gnu::always_inline]] void add_to(double* to) const {
    for (int i = 0; i < N; ++i) to[i] += static_cast<double>(part[i / kIn][i % kIn]);
  }
  [[gnu::always_inline]] T operator[](std::int64_t i) const { return part[i / kIn][i % kIn]; }

  [[gnu::always_inline]] void operator+=(const Lanes& other) {
    for (int i = 0; i < kParts; ++i) part[i] += other.part[i];
  }
  [[gnu::always_inline]] void operator-=(const Lanes& other) {
    for (int i = 0; i < kParts; ++i) part[i] -= other.part[i];
  }
  [[gnu::always_inline]] void operator*=(const Lanes& other) {
    for (int i = 0; i < kParts; ++i) part[i] *= other.part[i];
  }
  [[gnu::always_inline]] void operator-=(T number) {
    for (int i = 0; i < kParts; ++i) part[i] -= number;
  }
  /// Those where `of` is not positive times `slope`.
  [[gnu::always_inline]] void leak(const Lanes& of, T slope) {
    for (int i = 0; i < kParts; ++i) part[i] = of.part[i] > 0 ? part[i] : part[i] * slope;
  }
  /// += a * b
  [[gnu::always_inline]] void add_product(const Lanes& a, const Lanes& b) {
    for (int i = 0; i < kParts; ++i) part[i] += a.part[i] * b.part[i];
  }
  [[gnu::always_inline]] void add_product(T a, const Lanes& b) {
    for (int i = 0; i < kParts; ++i) part[i] += a * b.part[i];
  }

 private:
  template <class From>
  [[gnu::always_inline]] static void load_part(Register& out, const From* from) {
    using Floats = typename VectorOf<float, kIn>::Type;
    if constexpr (std::is_same_v<From, T>) {
      std::memcpy(&out, from, sizeof(out));
    } else if constexpr (std::is_same_v<From, float>) {
      Floats floats;
      std::memcpy(&floats, from, sizeof(floats));
      out = __builtin_convertvector(floats, Register);
    } else {
      static_assert(std::is_same_v<From, bfloat16>);
      using Words = typename VectorOf<std::uint32_t, kIn>::Type;
      typename VectorOf<std::uint16_t, kIn>::Type halves;
      std::memcpy(&halves, from, sizeof(halves));
      const Words words = __builtin_convertvector(halves, Words) << 16;
      Floats floats;
      std::memcpy(&floats, &words, sizeof(floats));
      out = __builtin_convertvector(floats, Register);
    }
  }
};

}  // namespace lucid::kernels
