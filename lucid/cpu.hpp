#pragma once
// Kernels in several versions, one for each width of vector registers, of which the processor's own is chosen
// when the program runs. -DLUCID_MAX_ISA=avx2 or baseline builds without the wider ones.
//
// LUCID_VECTORIZED marks a function whose loops the compiler is to vectorise for AVX-512, AVX2 and the
// baseline; LUCID_VECTORIZED_NARROW leaves out AVX-512, for loops that are rarely hot (a version costs
// compile time). A kernel that names registers itself is a template over their width, and run_for_registers()
// chooses: a vector that is wider than a register would lie in memory. Sanitizers run before the chooser of
// LUCID_VECTORIZED may, so they see the baseline only.
//
// All of them are flattened: what they call is inlined, since a function that stays out of line is compiled
// for the baseline and its loop is not vectorised. A loop with a branch is not either: compute both sides and
// select one.
//
// Clang makes no versions of a flattened function: its loops marked so are for what -march names, the kernels
// that name registers for all.
//
// With LUCID_EMULATE_WIDE the versions for AVX-512 run on any processor, slowly: to test them where it is
// missing.

#if defined(LUCID_EMULATE_WIDE)
#define LUCID_VECTORIZED
#define LUCID_VECTORIZED_NARROW
#define LUCID_WIDE
#elif defined(__x86_64__) && defined(__clang__) && !defined(LUCID_NO_AVX2)
#define LUCID_VECTORIZED
#define LUCID_VECTORIZED_NARROW
#define LUCID_NARROW __attribute__((flatten, target("arch=x86-64-v3")))
#if !defined(LUCID_NO_AVX512)
#define LUCID_WIDE __attribute__((flatten, target("arch=x86-64-v4")))
#endif
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(LUCID_NO_AVX2)
#define LUCID_NARROW __attribute__((flatten, target("arch=x86-64-v3")))
#define LUCID_VECTORIZED_NARROW __attribute__((flatten, target_clones("arch=x86-64-v3", "default")))
#if defined(LUCID_NO_AVX512)
#define LUCID_VECTORIZED LUCID_VECTORIZED_NARROW
#else
#define LUCID_VECTORIZED \
  __attribute__((flatten, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define LUCID_WIDE __attribute__((flatten, target("arch=x86-64-v4")))
#endif
#else
#define LUCID_VECTORIZED
#define LUCID_VECTORIZED_NARROW
#endif

namespace lucid {

/// Bytes of a vector register: of AVX-512, of AVX2, and of what every processor has that this is compiled
/// for.
inline constexpr int kWideRegister = 64, kNarrowRegister = 32;
#if defined(__AVX__)
inline constexpr int kBasicRegister = kNarrowRegister;
#else
inline constexpr int kBasicRegister = 16;
#endif

/// Whether there are 32 registers of so many bytes, as with AVX-512 and on aarch64; else 16. Kernels cut
/// their blocks for one or the other.
constexpr bool has_32_registers(int bytes) {
#if defined(__aarch64__)
  return bytes == kBasicRegister;
#else
  return bytes == kWideRegister;
#endif
}

namespace detail {

#if defined(LUCID_WIDE)
template <class Kernel, class... Args>
LUCID_WIDE void run_wide(const Args&... args) {
  Kernel::template run<kWideRegister>(args...);
}
#endif
#if defined(LUCID_NARROW)
template <class Kernel, class... Args>
LUCID_NARROW void run_narrow(const Args&... args) {
  Kernel::template run<kNarrowRegister>(args...);
}
#endif

#if defined(__x86_64__) && defined(__clang__)  // which knows the levels by name from version 17 on
inline bool has_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
inline bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#elif defined(__x86_64__)
inline bool has_v3() { return __builtin_cpu_supports("x86-64-v3"); }
inline bool has_v4() { return __builtin_cpu_supports("x86-64-v4"); }
#endif

}  // namespace detail

/// Whether kernels run for wide registers here.
inline bool has_wide_registers() {
#if defined(LUCID_EMULATE_WIDE)
  return true;
#elif defined(LUCID_WIDE)
  return detail::has_v4();
#else
  return false;
#endif
}

/// Bytes of the registers that kernels run for here.
inline int register_bytes() {
  if (has_wide_registers()) return kWideRegister;
#if defined(LUCID_NARROW)
  if (detail::has_v3()) return kNarrowRegister;
#endif
  return kBasicRegister;
}

/// Calls Kernel::run<Bytes>(args...), a static [[gnu::always_inline]] function with registers of Bytes.
template <class Kernel, class... Args>
void run_for_registers(const Args&... args) {
#if defined(LUCID_WIDE)
  if (has_wide_registers()) return detail::run_wide<Kernel>(args...);
#endif
#if defined(LUCID_NARROW)
  if (detail::has_v3()) return detail::run_narrow<Kernel>(args...);
#endif
  Kernel::template run<kBasicRegister>(args...);
}

/// Keeps a register whole where parts of it are going to be read: Clang carries them through the loop before,
/// each as an integer.
template <class Lanes>
[[gnu::always_inline]] inline void keep_whole([[maybe_unused]] Lanes& lanes) {
#if defined(__x86_64__) && defined(__clang__)
  asm("" : "+v"(lanes));
#endif
}

}  // namespace lucid
