#pragma once
// Options of an op as JSON, written once: LUCID_OPTIONS(ConvOptions, stride, padding) in the op's file
// defines to_json and from_json. Reading refuses unknown keys and names the key whose value does not fit.
// Options of a type that is not listed here need write_option and read_option beside the type, or
// ops/json_options.hpp, which brings in all of nlohmann/json.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lucid/dtype.hpp"
#include "lucid/tensor.hpp"
#include "ops/dims.hpp"
#include "ops/option_values.hpp"

namespace lucid::ops {

/// An integer that JSON holds exactly. Throws Error on another type, a fraction, or a value beyond 64 bits.
std::int64_t read_integer(const nlohmann::json& in);
/// A list of such integers; one integer stands for a list of one.
std::vector<std::int64_t> read_integers(const nlohmann::json& in);

namespace detail {

/// Throws Error "option "key" is value: why".
[[noreturn]] void raise_option(const char* key, const nlohmann::json& value, const char* why);
/// Makes `out` an empty object.
void clear(nlohmann::json& out);

// out[key] = value, and value = in[key] where there is one. null stands for an empty optional.
#define LUCID_OPTION_TYPE(...)                                                       \
  void write_option(nlohmann::json& out, const char* key, const __VA_ARGS__& value); \
  void read_option(const nlohmann::json& in, const char* key, __VA_ARGS__& value);
#define LUCID_OPTION_TYPES(X)                 \
  X(bool)                                     \
  X(int)                                      \
  X(std::int64_t)                             \
  X(std::uint64_t)                            \
  X(double)                                   \
  X(std::string)                              \
  X(std::vector<std::int64_t>)                \
  X(std::vector<double>)                      \
  X(std::array<double, 2>)                    \
  X(DType)                                    \
  X(Scalar)                                   \
  X(Shape)                                    \
  X(Dims<1>)                                  \
  X(Dims<2>)                                  \
  X(Dims<3>)                                  \
  X(std::optional<bool>)                      \
  X(std::optional<std::int64_t>)              \
  X(std::optional<double>)                    \
  X(std::optional<std::string>)               \
  X(std::optional<std::vector<std::int64_t>>) \
  X(std::optional<DType>)                     \
  X(std::optional<Scalar>)                    \
  X(std::optional<Shape>)                     \
  X(std::optional<Dims<1>>)                   \
  X(std::optional<Dims<2>>)                   \
  X(std::optional<Dims<3>>)
LUCID_OPTION_TYPES(LUCID_OPTION_TYPE)
#undef LUCID_OPTION_TYPE

/// A value of an enumeration and its name in JSON.
struct Choice {
  template <class Enumeration>
  constexpr Choice(Enumeration given, std::string_view given_name)
      : value(static_cast<int>(given)), name(given_name) {}
  int value;
  std::string_view name;
};
/// "?" for a value that is none of them.
std::string_view name_of(std::span<const Choice> choices, int value);
void write_choice(nlohmann::json& out, const char* key, std::span<const Choice> choices, int value);
/// `value` where there is no key. Throws Error listing the choices when the text is none of them.
int read_choice(const nlohmann::json& in, const char* key, std::span<const Choice> choices, int value);

using Write = void (*)(nlohmann::json& out, const void* options);
using Read = void (*)(const nlohmann::json& in, void* options);
OptionValues written(Write write, const void* options);
void read(std::string_view op, const nlohmann::json& given, const OptionValues& defaults, Read read,
          void* options);

}  // namespace detail

/// `options` by name.
template <class Options>
OptionValues option_values(const Options& options) {
  return detail::written(
      [](nlohmann::json& out, const void* given) { to_json(out, *static_cast<const Options*>(given)); },
      &options);
}

/// The op's defaults, as the table in the docs shows them.
template <class Options>
OptionValues default_options() {
  return option_values(Options{});
}

/// `given` as Options; null and missing keys keep the defaults. Throws Error "<op>: option ..." naming the
/// key.
template <class Options>
Options read_options(std::string_view op, const nlohmann::json& given) {
  Options options{};
  detail::read(
      op, given, option_values(options),
      [](const nlohmann::json& in, void* target) { from_json(in, *static_cast<Options*>(target)); },
      &options);
  return options;
}

}  // namespace lucid::ops

/// Names of an enumeration's values in JSON: LUCID_OPTION_ENUM(Layout, {{Layout::preserve, "preserve"},
/// ...}). Another text is refused with the list of those known.
#define LUCID_OPTION_ENUM(Type, ...)                                                             \
  [[maybe_unused]] static std::span<const ::lucid::ops::detail::Choice> choices_of(Type) {       \
    static constexpr ::lucid::ops::detail::Choice choices[] = __VA_ARGS__;                       \
    return choices;                                                                              \
  }                                                                                              \
  [[maybe_unused]] void write_option(nlohmann::json& out, const char* key, const Type& value) {  \
    ::lucid::ops::detail::write_choice(out, key, choices_of(value), static_cast<int>(value));    \
  }                                                                                              \
  [[maybe_unused]] void read_option(const nlohmann::json& in, const char* key, Type& value) {    \
    value = static_cast<Type>(                                                                   \
        ::lucid::ops::detail::read_choice(in, key, choices_of(value), static_cast<int>(value))); \
  }

// One statement for each of up to 64 fields.
#define LUCID_EACH(X, field, ...) X(field) __VA_OPT__(LUCID_EACH_MORE LUCID_PARENS(X, __VA_ARGS__))
#define LUCID_EACH_MORE() LUCID_EACH
#define LUCID_PARENS ()
#define LUCID_RESCAN(...) LUCID_RESCAN_1(LUCID_RESCAN_1(LUCID_RESCAN_1(LUCID_RESCAN_1(__VA_ARGS__))))
#define LUCID_RESCAN_1(...) LUCID_RESCAN_2(LUCID_RESCAN_2(LUCID_RESCAN_2(LUCID_RESCAN_2(__VA_ARGS__))))
#define LUCID_RESCAN_2(...) LUCID_RESCAN_3(LUCID_RESCAN_3(LUCID_RESCAN_3(LUCID_RESCAN_3(__VA_ARGS__))))
#define LUCID_RESCAN_3(...) __VA_ARGS__

#define LUCID_WRITE_OPTION(field) write_option(out, #field, options.field);
#define LUCID_READ_OPTION(field) read_option(in, #field, options.field);
#define LUCID_OPTIONS(Type, ...)                              \
  void to_json(nlohmann::json& out, const Type& options) {    \
    using ::lucid::ops::detail::write_option;                 \
    ::lucid::ops::detail::clear(out);                         \
    LUCID_RESCAN(LUCID_EACH(LUCID_WRITE_OPTION, __VA_ARGS__)) \
  }                                                           \
  void from_json(const nlohmann::json& in, Type& options) {   \
    using ::lucid::ops::detail::read_option;                  \
    LUCID_RESCAN(LUCID_EACH(LUCID_READ_OPTION, __VA_ARGS__))  \
  }
