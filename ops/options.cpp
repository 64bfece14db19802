#include "ops/options.hpp"

#include <algorithm>
#include <limits>

#include "ops/json_options.hpp"
#include "ops/quote.hpp"

namespace nlohmann {

void adl_serializer<lucid::Scalar>::to_json(json& out, const lucid::Scalar& value) {
  if (value.is_boolean())
    out = value.to<bool>();
  else if (value.is_floating())
    out = value.to<double>();
  else
    out = value.to<std::int64_t>();
}

lucid::Scalar adl_serializer<lucid::Scalar>::from_json(const json& in) {
  if (in.is_boolean()) return in.get<bool>();
  if (in.is_number_float()) return in.get<double>();
  if (!in.is_number()) throw lucid::Error("a number is required, got " + lucid::ops::quote(in));
  return lucid::ops::read_integer(in);
}

}  // namespace nlohmann

namespace lucid {

void to_json(nlohmann::json& out, DType dtype) { out = std::string(name(dtype)); }
void from_json(const nlohmann::json& in, DType& dtype) { dtype = dtype_from_name(in.get<std::string>()); }

void to_json(nlohmann::json& out, const Shape& list) { out = list.to_vector(); }
void from_json(const nlohmann::json& in, Shape& list) { list = Shape(ops::read_integers(in)); }

template <std::size_t N>
void to_json(nlohmann::json& out, const Dims<N>& dims) {
  out = static_cast<const std::array<std::int64_t, N>&>(dims);
}

template <std::size_t N>
void from_json(const nlohmann::json& in, Dims<N>& dims) {
  if (!in.is_array()) {
    dims = Dims<N>(ops::read_integer(in));
    return;
  }
  const std::vector<std::int64_t> values = ops::read_integers(in);
  dims = Dims<N>(values.data(), values.size());
}

#define LUCID_INSTANTIATE(N)                                  \
  template void to_json(nlohmann::json& out, const Dims<N>&); \
  template void from_json(const nlohmann::json& in, Dims<N>&);
LUCID_INSTANTIATE(1)
LUCID_INSTANTIATE(2)
LUCID_INSTANTIATE(3)
#undef LUCID_INSTANTIATE

namespace ops {

std::int64_t read_integer(const nlohmann::json& in) {
  if (in.is_number_unsigned()) {
    const auto value = in.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      throw Error(in.dump() + " does not fit in 64 signed bits");
    return static_cast<std::int64_t>(value);
  }
  if (!in.is_number_integer()) throw Error("an integer is required, got " + quote(in));
  return in.get<std::int64_t>();
}

std::vector<std::int64_t> read_integers(const nlohmann::json& in) {
  if (!in.is_array()) return {read_integer(in)};
  std::vector<std::int64_t> values;
  for (const auto& element : in) values.push_back(read_integer(element));
  return values;
}

namespace detail {
namespace {

void require_known_keys(const nlohmann::json& given, const nlohmann::json& known) {
  for (const auto& [key, value] : given.items()) {
    if (known.contains(key)) continue;
    std::string list;
    for (const auto& [name, unused] : known.items()) list += (list.empty() ? "" : ", ") + name;
    throw Error(str("unknown option \"", key, "\"; known are ", list.empty() ? "none" : list));
  }
}

}  // namespace

void raise_option(const char* key, const nlohmann::json& value, const char* why) {
  std::string_view reason = why;
  if (reason.starts_with("[json.exception")) reason.remove_prefix(reason.find("] ") + 2);
  throw Error(str("option \"", key, "\" is ", quote(value), ": ", reason));
}

void clear(nlohmann::json& out) { out = nlohmann::json::object(); }

#define LUCID_OPTION_TYPE(...)                                                        \
  void write_option(nlohmann::json& out, const char* key, const __VA_ARGS__& value) { \
    write_as_json(out, key, value);                                                   \
  }                                                                                   \
  void read_option(const nlohmann::json& in, const char* key, __VA_ARGS__& value) {   \
    read_as_json(in, key, value);                                                     \
  }
LUCID_OPTION_TYPES(LUCID_OPTION_TYPE)
#undef LUCID_OPTION_TYPE

std::string_view name_of(std::span<const Choice> choices, int value) {
  const auto known = std::ranges::find(choices, value, &Choice::value);
  return known == choices.end() ? "?" : known->name;
}

void write_choice(nlohmann::json& out, const char* key, std::span<const Choice> choices, int value) {
  out[key] = std::string(name_of(choices, value));
}

int read_choice(const nlohmann::json& in, const char* key, std::span<const Choice> choices, int value) {
  const auto found = in.find(key);
  if (found == in.end()) return value;
  std::string list;
  for (const Choice& choice : choices) {
    if (*found == choice.name) return choice.value;
    list += (list.empty() ? "" : ", ") + std::string(choice.name);
  }
  raise_option(key, *found, ("one of " + list + " is required").c_str());
}

OptionValues written(Write write, const void* options) {
  nlohmann::json out;
  write(out, options);
  return out;
}

void read(std::string_view op, const nlohmann::json& given, const OptionValues& defaults, Read read,
          void* options) {
  try {
    if (given.is_null()) return;
    if (!given.is_object()) throw Error("options must be a JSON object, got " + quote(given));
    require_known_keys(given, defaults);
    read(given, options);
  } catch (const Error& error) {
    raise(op, error.what());
  }
}

}  // namespace detail
}  // namespace ops
}  // namespace lucid
