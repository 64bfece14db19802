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

#include "lucid/dtype.hpp"

namespace lucid::ops {

/// A value as written in braces: null, a boolean, a number, a text, a type's name, a list of numbers, any
/// JSON, or a list of such. As in JSON's own braces, a list of pairs that begin with a text is an object, and
/// {} is null. Refers to what it is made of, which lives as long as the full expression does: for arguments
/// only.
class Literal {
 public:
  Literal(std::nullptr_t) {}
  template <std::same_as<bool> Boolean>  // but no pointer
  Literal(Boolean value) : kind_(Kind::boolean), boolean_(value) {}
  template <std::signed_integral Integer>
  Literal(Integer value) : kind_(Kind::integer), integer_(value) {}
  template <std::unsigned_integral Integer>
  requires(!std::same_as<Integer, bool>) Literal(Integer value) : kind_(Kind::natural), natural_(value) {}
  template <std::floating_point Real>
  Literal(Real value) : kind_(Kind::real), real_(static_cast<double>(value)) {}
  Literal(const char* value) : Literal(std::string_view(value)) {}
  Literal(const std::string& value) : Literal(std::string_view(value)) {}
  Literal(std::string_view value) : kind_(Kind::text), text_(value.data()), size_(value.size()) {}
  Literal(DType dtype) : Literal(name(dtype)) {}
  Literal(const nlohmann::json& value) : kind_(Kind::json), json_(&value) {}
  template <std::convertible_to<std::span<const std::int64_t>> Integers>
  Literal(const Integers& values) : Literal(Kind::integers, std::span<const std::int64_t>(values)) {}
  template <std::convertible_to<std::span<const int>> Integers>
  Literal(const Integers& values) : Literal(Kind::ints, std::span<const int>(values)) {}
  template <std::convertible_to<std::span<const double>> Reals>
  Literal(const Reals& values) : Literal(Kind::reals, std::span<const double>(values)) {}
  Literal(std::initializer_list<Literal> values) : Literal(Kind::list, std::span(values)) {}

 private:
  friend class OptionValues;
  enum class Kind { null, boolean, integer, natural, real, text, json, integers, ints, reals, list };
  template <class Element>
  Literal(Kind kind, std::span<const Element> values)
      : kind_(kind), elements_(values.data()), size_(values.size()) {}

  void write(nlohmann::json& out) const;
  template <class Element>
  std::span<const Element> elements() const {
    return {static_cast<const Element*>(elements_), size_};
  }
  std::string_view text() const { return {text_, size_}; }
  bool is_member() const;  // a pair of a text and a value

  Kind kind_ = Kind::null;
  union {
    bool boolean_;
    std::int64_t integer_;
    std::uint64_t natural_;
    double real_;
    const char* text_;
    const nlohmann::json* json_;
    const void* elements_ = nullptr;
  };
  std::size_t size_ = 0;  // of a text or a list
};

struct NamedLiteral {
  NamedLiteral(std::string_view given_name, Literal given) : name(given_name), value(given) {}
  std::string_view name;
  Literal value;
};

/// Copies share one object: `set` makes its own.
class OptionValues {
 public:
  OptionValues();
  /// {{"stride", 2}, {"padding", {1, 1, 0}}}; of two values of one name the first counts.
  OptionValues(std::initializer_list<NamedLiteral> values);
  template <std::same_as<nlohmann::json> Json>  // itself, not what braces could make one of
  OptionValues(const Json& values) : OptionValues(Given{&values}) {}
  OptionValues(const OptionValues&);
  OptionValues(OptionValues&&) noexcept;
  OptionValues& operator=(OptionValues) noexcept;
  ~OptionValues();

  /// Throws Error when the values are no object.
  OptionValues& set(std::string_view name, Literal value);
  const nlohmann::json& json() const;
  operator const nlohmann::json&() const { return json(); }

 private:
  struct Given {
    const nlohmann::json* values;
  };
  explicit OptionValues(Given given);

  std::shared_ptr<const nlohmann::json> values_;  // none: an empty object
};

}  // namespace lucid::ops
