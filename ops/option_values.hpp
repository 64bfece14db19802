#pragma once
// Options of a call by name: a JSON object, behind a pointer, so that those who write it in braces or pass it
// on, as the record of every op does, compile none of JSON's header.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace lucid::ops {

/// A value as written in braces: null, a boolean, a number, a text, integers, any JSON, or a list of such. As
/// in JSON's own braces, a list of pairs that begin with a text is an object. Refers to what it is made of,
/// which lives as long as the full expression does: for arguments only.
class Literal {
 public:
  Literal(std::nullptr_t) : kind_(Kind::null) {}
  Literal(bool value) : kind_(Kind::boolean), boolean_(value) {}
  template <std::signed_integral Integer>
  Literal(Integer value) : kind_(Kind::integer), integer_(value) {}
  template <std::unsigned_integral Integer>
  Literal(Integer value) : kind_(Kind::natural), natural_(value) {}
  template <std::floating_point Real>
  Literal(Real value) : kind_(Kind::real), real_(static_cast<double>(value)) {}
  Literal(const char* value) : Literal(std::string_view(value)) {}
  Literal(const std::string& value) : Literal(std::string_view(value)) {}
  Literal(std::string_view value) : kind_(Kind::text), text_(value.data()), size_(value.size()) {}
  Literal(const nlohmann::json& value) : kind_(Kind::json), json_(&value) {}
  Literal(std::span<const std::int64_t> values)
      : kind_(Kind::integers), integers_(values.data()), size_(values.size()) {}
  template <std::convertible_to<std::span<const std::int64_t>> Integers>
  Literal(const Integers& values) : Literal(std::span<const std::int64_t>(values)) {}
  Literal(std::initializer_list<Literal> values)
      : kind_(Kind::list), list_(std::data(values)), size_(values.size()) {}

 private:
  friend class OptionValues;
  void write(nlohmann::json& out) const;
  bool is_member() const;  // a pair of a text and a value

  enum class Kind { null, boolean, integer, natural, real, text, json, integers, list };
  Kind kind_;
  union {
    bool boolean_;
    std::int64_t integer_;
    std::uint64_t natural_;
    double real_;
    const char* text_;
    const nlohmann::json* json_;
    const std::int64_t* integers_;
    const Literal* list_;
  };
  std::size_t size_ = 0;  // of a text or a list
};

struct NamedLiteral {
  const char* name;
  Literal value;
};

/// Copies share one object: `set` makes its own.
class OptionValues {
 public:
  OptionValues();
  /// {{"stride", 2}, {"padding", {1, 1, 0}}}
  OptionValues(std::initializer_list<NamedLiteral> values);
  OptionValues(const nlohmann::json& values);
  OptionValues(const OptionValues&);
  OptionValues(OptionValues&&) noexcept;
  OptionValues& operator=(OptionValues) noexcept;
  ~OptionValues();

  OptionValues& set(const char* name, Literal value);
  const nlohmann::json& json() const;
  operator const nlohmann::json&() const { return json(); }

 private:
  std::shared_ptr<const nlohmann::json> values_;  // none: an empty object
};

}  // namespace lucid::ops
