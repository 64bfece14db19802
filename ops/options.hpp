#pragma once
// Options of an op as JSON, written once: LUCID_OPTIONS(ConvOptions, stride, padding) in the op's file
// defines to_json and from_json. Reading refuses unknown keys and names the key whose value does not fit. For
// .cpp files only: this header brings in all of nlohmann/json.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lucid/dtype.hpp"
#include "lucid/error.hpp"
#include "lucid/tensor.hpp"
#include "ops/dims.hpp"
#include "ops/quote.hpp"

namespace nlohmann {
/// null stands for an empty optional.
template <class T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value)
      out = *value;
    else
      out = nullptr;
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (in.is_null())
      value.reset();
    else
      value = in.get<T>();
  }
};

/// A JSON number or boolean, keeping which of the three it is.
template <>
struct adl_serializer<lucid::Scalar> {
  static void to_json(json& out, const lucid::Scalar& value);
  static lucid::Scalar from_json(const json& in);
};
}  // namespace nlohmann

namespace lucid {

void to_json(nlohmann::json& out, DType dtype);  // "float32"
void from_json(const nlohmann::json& in, DType& dtype);
void to_json(nlohmann::json& out, const Shape& list);
void from_json(const nlohmann::json& in, Shape& list);  // a list of integers; one integer is a list of one

namespace ops {

/// An integer that JSON holds exactly. Throws Error on another type, a fraction, or a value beyond 64 bits.
std::int64_t read_integer(const nlohmann::json& in);
/// A list of such integers; one integer stands for a list of one.
std::vector<std::int64_t> read_integers(const nlohmann::json& in);

namespace detail {
[[noreturn]] void raise_option(const char* key, const nlohmann::json& value, const char* why);
void require_known_keys(const nlohmann::json& given, const nlohmann::json& known);

template <class T>
void read_option(const nlohmann::json& in, const char* key, T& value) {
  const auto found = in.find(key);
  if (found == in.end()) return;
  try {
    if constexpr (std::is_same_v<T, std::int64_t>)
      value = read_integer(*found);
    else if constexpr (std::is_same_v<T, std::optional<std::int64_t>>)
      value = found->is_null() ? T() : T(read_integer(*found));
    else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>)
      value = read_integers(*found);
    else
      value = found->template get<T>();
  } catch (const std::exception& error) {
    raise_option(key, *found, error.what());
  }
}

template <class T>
std::string enum_name(const std::vector<std::pair<T, std::string>>& names, T value) {
  for (const auto& [known, name] : names)
    if (known == value) return name;
  return "?";
}

template <class T>
T enum_value(const std::vector<std::pair<T, std::string>>& names, const nlohmann::json& in) {
  std::string list;
  for (const auto& [value, name] : names) {
    if (in == name) return value;
    list += (list.empty() ? "" : ", ") + name;
  }
  throw Error("one of " + list + " is required");
}
}  // namespace detail

/// `given` as Options; null and missing keys keep the defaults. Throws Error "<op>: option ..." naming the
/// key.
template <class Options>
Options read_options(std::string_view op, const nlohmann::json& given) {
  try {
    if (given.is_null()) return Options{};
    if (!given.is_object()) throw Error("options must be a JSON object, got " + quote(given));
    detail::require_known_keys(given, nlohmann::json(Options{}));
    return given.get<Options>();
  } catch (const Error& error) {
    raise(op, error.what());
  }
}

/// The op's defaults, as the table in the docs shows them.
template <class Options>
nlohmann::json default_options() {
  return nlohmann::json(Options{});
}

}  // namespace ops
}  // namespace lucid

/// Names of an enumeration's values in JSON: LUCID_OPTION_ENUM(Layout, {{Layout::preserve, "preserve"},
/// ...}). Another text is refused with the list of those known.
#define LUCID_OPTION_ENUM(Type, ...)                                          \
  static const std::vector<std::pair<Type, std::string>>& names_of(Type) {    \
    static const std::vector<std::pair<Type, std::string>> names __VA_ARGS__; \
    return names;                                                             \
  }                                                                           \
  [[maybe_unused]] void to_json(nlohmann::json& out, const Type& value) {     \
    out = ::lucid::ops::detail::enum_name(names_of(value), value);            \
  }                                                                           \
  [[maybe_unused]] void from_json(const nlohmann::json& in, Type& value) {    \
    value = ::lucid::ops::detail::enum_value(names_of(value), in);            \
  }

#define LUCID_WRITE_OPTION(field) out[#field] = options.field;
#define LUCID_READ_OPTION(field) ::lucid::ops::detail::read_option(in, #field, options.field);
#define LUCID_OPTIONS(Type, ...)                                               \
  void to_json(nlohmann::json& out, const Type& options) {                     \
    out = nlohmann::json::object();                                            \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(LUCID_WRITE_OPTION, __VA_ARGS__)) \
  }                                                                            \
  void from_json(const nlohmann::json& in, Type& options) {                    \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(LUCID_READ_OPTION, __VA_ARGS__))  \
  }
