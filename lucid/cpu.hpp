#pragma once
// Kernels in several versions, one for each width of vector registers, of which the processor's own is chosen
// when the program starts. -DLUCID_MAX_ISA=avx2 or baseline builds without the wider ones.

// LUCID_VECTORIZED marks a function whose loops the compiler is to vectorise for AVX-512, AVX2 and the
// baseline. Where also the blocking depends on the registers there are two functions, LUCID_WIDE and LUCID_NARROW,
// between which has_wide_registers() chooses. Sanitizers run before the chooser may, so they see the baseline only.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(LUCID_NO_AVX2)
#if defined(LUCID_NO_AVX512)
#define LUCID_VECTORIZED __attribute__((target_clones("arch=x86-64-v3", "default")))
#define LUCID_WIDE
#else
#define LUCID_VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define LUCID_WIDE __attribute__((target("arch=x86-64-v4")))
#define LUCID_HAS_WIDE_VERSION 1
#endif
#define LUCID_NARROW __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define LUCID_VECTORIZED
#define LUCID_WIDE
#define LUCID_NARROW
#endif

namespace lucid {

/// Whether functions marked LUCID_WIDE run here: 32 registers of 64 bytes (AVX-512).
inline bool has_wide_registers() {
#if defined(LUCID_HAS_WIDE_VERSION)
  return __builtin_cpu_supports("x86-64-v4");
#else
  return false;
#endif
}

/// Sizes of a vector register in bytes, for which kernels are written once.
inline constexpr int kWideRegister = 64;    // 32 of them
inline constexpr int kNarrowRegister = 32;  // 16 of them; without AVX2, each is several

}  // namespace lucid
