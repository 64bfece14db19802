#pragma once
// Options of any type that nlohmann/json reads and writes: what ops/options.hpp does not list. For .cpp files
// only, and few: this header brings in all of nlohmann/json.

#include <nlohmann/json.hpp>

#include "ops/options.hpp"

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

namespace ops::detail {

template <class T>
void write_as_json(nlohmann::json& out, const char* key, const T& value) {
  out[key] = value;
}

template <class T>
void read_as_json(const nlohmann::json& in, const char* key, T& value) {
  const auto found = in.find(key);
  if (found == in.end()) return;
  try {
    if constexpr (std::is_same_v<T, std::int64_t>)
      value = read_integer(*found);
    else if constexpr (std::is_same_v<T, std::optional<std::int64_t>>)
      value = found->is_null() ? T() : T(read_integer(*found));
    else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>)
      value = read_integers(*found);
    else if constexpr (std::is_same_v<T, std::optional<std::vector<std::int64_t>>>)
      value = found->is_null() ? T() : T(read_integers(*found));
    else
      value = found->template get<T>();
  } catch (const std::exception& error) {
    raise_option(key, *found, error.what());
  }
}

template <class T>
requires(!std::is_enum_v<T>)  // those have their own, beside LUCID_OPTION_ENUM
    void write_option(nlohmann::json& out, const char* key, const T& value) {
  write_as_json(out, key, value);
}

template <class T>
requires(!std::is_enum_v<T>) void read_option(const nlohmann::json& in, const char* key, T& value) {
  read_as_json(in, key, value);
}

}  // namespace ops::detail
}  // namespace lucid
