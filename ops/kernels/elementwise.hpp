#pragma once
// Functions of the elements of tensors that broadcast to one shape.

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "lucid/cpu.hpp"
#include "ops/kernels/loop_plan.hpp"
#include "ops/kernels/short_rows.hpp"

namespace lucid::kernels {

/// A new tensor of `shape` laid out like the first of `inputs` that is dense and of that shape; else with the
/// axes in the order of the first of that shape that is not expanded, such as a slice; else row-major.
Tensor empty_for(const Shape& shape, DType dtype, std::initializer_list<const Tensor*> inputs);

// A row each; strides in elements. Unit strides of one floating type, chosen by a mask or not, are split off
// and vectorised; the many other combinations of types share one plain loop, and bfloat16 takes float's loop
// by way of a buffer, which keeps compile times in bounds.
template <class O, class... In>
inline constexpr bool kHot = is_floating(dtype_of<O>()) &&
                             ((std::is_same_v<O, In> || std::is_same_v<bool, In>)&&...);

template <class T>
T element(const T* row, std::int64_t i) {
  return row[i];
}
inline float element(float single, std::int64_t) { return single; }
inline double element(double single, std::int64_t) { return single; }

// A row of bool, which GCC vectorises as bytes only.
struct MaskRow {
  const unsigned char* bytes;
};
inline bool element(MaskRow row, std::int64_t i) { return row.bytes[i] != 0; }
inline bool element(bool single, std::int64_t) { return single; }

inline MaskRow hot_operand(const bool* row) { return {reinterpret_cast<const unsigned char*>(row)}; }
template <class T>
const T* hot_operand(const T* row) {
  return row;
}

template <class T>
auto hot_operand(GatheredRow row) {
  return hot_operand(static_cast<const T*>(row));
}

// Each of `in` is a row or a single number.
template <class F, class... In>
LUCID_VECTORIZED void hot_row(float* out, std::int64_t n, F f, In... in) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(f(element(in, i)...));
}

template <class F, class... In>
LUCID_VECTORIZED_NARROW void hot_row(double* out, std::int64_t n, F f, In... in) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<double>(f(element(in, i)...));
}

inline constexpr std::int64_t kWidened = 512;  // elements at once: of four rows they fit the first cache

void widen(float* out, const bfloat16* in, std::int64_t n);
void narrow(bfloat16* out, const float* in, std::int64_t n);

// An operand of bfloat16 as float, piece by piece: of a row each piece in a buffer, of a single number
// itself.
template <class In>
struct Widened {
  explicit Widened(const bfloat16* given) : row(given) {}
  const float* operator()(std::int64_t first, std::int64_t n) {
    widen(buffer, row + first, n);
    return buffer;
  }
  const bfloat16* row;
  float buffer[kWidened];
};

template <>
struct Widened<bfloat16> {
  explicit Widened(bfloat16 given) : single(given) {}
  float operator()(std::int64_t, std::int64_t) const { return single; }
  float single;
};

template <>
struct Widened<MaskRow> {
  explicit Widened(MaskRow given) : row(given) {}
  MaskRow operator()(std::int64_t first, std::int64_t) const { return {row.bytes + first}; }
  MaskRow row;
};

template <>
struct Widened<bool> {
  explicit Widened(bool given) : single(given) {}
  bool operator()(std::int64_t, std::int64_t) const { return single; }
  bool single;
};

template <class F, class... In>
[[gnu::noinline]] void hot_row(bfloat16* out, std::int64_t n, F f, In... in) {
  const auto by_pieces = [&](auto... rows) {
    float result[kWidened];
    for (std::int64_t first = 0; first < n; first += kWidened) {
      const std::int64_t count = std::min(kWidened, n - first);
      hot_row(result, count, f, rows(first, count)...);
      narrow(out + first, result, count);
    }
  };
  by_pieces(Widened<In>(in)...);
}

// f of elements, as O.
template <class O, class F, class... In>
O applied(F& f, In... in) {
  return static_cast<O>(static_cast<Compute<O>>(f(static_cast<Compute<In>>(in)...)));
}

// Rows of bfloat16 shorter than this take longer by way of a buffer.
inline constexpr std::int64_t kWorthWidening = 32;
template <class T>
bool worth_widening(std::int64_t n) {
  return !std::is_same_v<T, bfloat16> || n >= kWorthWidening;
}

// An operand's row, of whose step 0 says that one element stands for all.
template <class T>
class Repeated {
 public:
  Repeated(const T* row, std::int64_t step, std::int64_t n) : row_(row), repeats_(step == 0) {
    if (repeats_) std::fill_n(buffer_, std::min(n, kWidened), *row);
  }
  /// At most kWidened elements from `first` on.
  const T* piece(std::int64_t first) const { return repeats_ ? buffer_ : row_ + first; }

 private:
  const T* row_;
  bool repeats_;
  T buffer_[kWidened];
};

template <class O, class F, class... In>
void hot_pieces(O* out, std::int64_t n, F f, const Repeated<In>&... in) {
  for (std::int64_t first = 0; first < n; first += kWidened)
    hot_row(out + first, std::min(kWidened, n - first), f, hot_operand(in.piece(first))...);
}

// Steps that hot_pieces() serves.
inline bool is_0_or_1(std::int64_t step) { return step == 0 || step == 1; }

template <class O, class A, class F>
void row_unary(O* out, const A* a, std::int64_t so, std::int64_t sa, std::int64_t n, F f) {
  if constexpr (kHot<O, A>)
    if (so == 1 && sa == 1 && worth_widening<O>(n)) return hot_row(out, n, f, hot_operand(a));
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = applied<O>(f, a[i * sa]);
}

template <class O, class A, class B, class F>
void row_binary(O* out, const A* a, const B* b, std::int64_t so, std::int64_t sa, std::int64_t sb,
                std::int64_t n, F f) {
  if constexpr (kHot<O, A, B>) {
    const bool hot = so == 1 && sa == 1 && worth_widening<O>(n);
    if (hot && sb == 1) return hot_row(out, n, f, hot_operand(a), hot_operand(b));
    if (hot && sb == 0) return hot_row(out, n, f, hot_operand(a), *b);
    if (so == 1 && sa == 0 && sb == 1 && worth_widening<O>(n))
      return hot_pieces(out, n, f, Repeated<A>(a, sa, n), Repeated<B>(b, sb, n));
  }
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = applied<O>(f, a[i * sa], b[i * sb]);
}

template <class O, class A, class B, class C, class F>
void row_ternary(O* out, const A* a, const B* b, const C* c, std::int64_t so, std::int64_t sa,
                 std::int64_t sb, std::int64_t sc, std::int64_t n, F f) {
  if constexpr (kHot<O, A, B, C>) {
    if (so == 1 && sa == 1 && sb == 1 && sc == 1 && worth_widening<O>(n))
      return hot_row(out, n, f, hot_operand(a), hot_operand(b), hot_operand(c));
    if (so == 1 && is_0_or_1(sa) && is_0_or_1(sb) && is_0_or_1(sc) && worth_widening<O>(n))
      return hot_pieces(out, n, f, Repeated<A>(a, sa, n), Repeated<B>(b, sb, n), Repeated<C>(c, sc, n));
  }
  for (std::int64_t i = 0; i < n; ++i) out[i * so] = applied<O>(f, a[i * sa], b[i * sb], c[i * sc]);
}

/// out[i] = f(a[i]); `a` broadcasts to out's shape. O and A are the element types. f is given bfloat16 as
/// float, and what it returns is converted to O; where f is of one type for both, so is the loop. f has no
/// state: it is copied for every row. An operand shares memory with `out` element by element or not at all.
template <class O, class A, class F>
void map(const Tensor& out, const Tensor& a, F f) {
  O* po = out.data_to_write<O>();
  const A* pa = a.data<A>();
  const auto plan = plan_tensors<2>({&out, &a});
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_unary(po + at[0], pa + at[1], plan.strides[0][inner], plan.strides[1][inner], n, f);
  });
}

/// out[i] = f(a[i], b[i]); both broadcast to out's shape.
template <class O, class A, class B, class F>
void map(const Tensor& out, const Tensor& a, const Tensor& b, F f) {
  O* po = out.data_to_write<O>();
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  const auto plan = plan_tensors<3>({&out, &a, &b});
  if constexpr (kHot<O, A, B>)
    if (wants_gathering(plan))
      return gathered_rows(plan, {{{pa, sizeof(A)}, {pb, sizeof(B)}}},
                           [&](std::int64_t at, std::int64_t n, const GatheredRow* in) {
                             hot_row(po + at, n, f, hot_operand<A>(in[0]), hot_operand<B>(in[1]));
                           });
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_binary(po + at[0], pa + at[1], pb + at[2], plan.strides[0][inner], plan.strides[1][inner],
               plan.strides[2][inner], n, f);
  });
}

/// out[i] = f(a[i], b[i], c[i]); all broadcast to out's shape.
template <class O, class A, class B, class C, class F>
void map(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& c, F f) {
  O* po = out.data_to_write<O>();
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  const C* pc = c.data<C>();
  const auto plan = plan_tensors<4>({&out, &a, &b, &c});
  if constexpr (kHot<O, A, B, C>)
    if (wants_gathering(plan))
      return gathered_rows(plan, {{{pa, sizeof(A)}, {pb, sizeof(B)}, {pc, sizeof(C)}}},
                           [&](std::int64_t at, std::int64_t n, const GatheredRow* in) {
                             hot_row(po + at, n, f, hot_operand<A>(in[0]), hot_operand<B>(in[1]),
                                     hot_operand<C>(in[2]));
                           });
  const std::size_t inner = plan.rank - 1;
  parallel_rows(plan, [&](const auto& at, std::int64_t n) {
    row_ternary(po + at[0], pa + at[1], pb + at[2], pc + at[3], plan.strides[0][inner],
                plan.strides[1][inner], plan.strides[2][inner], plan.strides[3][inner], n, f);
  });
}

/// Copies `source`, broadcast and converted, into `target`. Not recorded.
void copy(const Tensor& target, const Tensor& source);

}  // namespace lucid::kernels
